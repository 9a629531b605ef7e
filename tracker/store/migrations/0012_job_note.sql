-- Works with programs from 0.2.0 on.
--
-- Of jobs that had any: how many of their messages were dropped, and how many became dead letters, and the newest of
-- each.
CREATE TABLE job_note (
    tenant_key         integer NOT NULL,
    job_key            bigint NOT NULL,
    dropped            bigint NOT NULL DEFAULT 0,
    drop_reason        text,         -- cancelled, completed, failed, stale
    drop_time          timestamptz,
    drop_record        text,         -- topic:kafkaPartition:offset
    dead_letters       bigint NOT NULL DEFAULT 0,
    dead_letter_reason text,
    dead_letter_time   timestamptz,
    dead_letter_record text,         -- of the source
    PRIMARY KEY (tenant_key, job_key)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
