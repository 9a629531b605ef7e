-- Write what the workers of a supervisor do now.
INSERT INTO worker_process (
    member_id, host, slot, version, ready, detail, progress_time, records_per_second, stage_seconds,
    kafka_partitions, write_time
)
SELECT new.member_id, new.host, new.slot, new.version, new.ready, new.detail,
       now() - make_interval(secs => new.idle_s), new.records_per_second, new.stage_seconds,
       new.kafka_partitions, now()
FROM jsonb_to_recordset(%(workers)s::jsonb) AS new (
    member_id text, host text, slot integer, version text, ready boolean, detail text, idle_s float8,
    records_per_second float8, stage_seconds jsonb, kafka_partitions jsonb
)
ORDER BY new.member_id
ON CONFLICT (member_id) DO UPDATE
SET host = EXCLUDED.host,
    slot = EXCLUDED.slot,
    version = EXCLUDED.version,
    ready = EXCLUDED.ready,
    detail = EXCLUDED.detail,
    progress_time = EXCLUDED.progress_time,
    records_per_second = EXCLUDED.records_per_second,
    stage_seconds = EXCLUDED.stage_seconds,
    kafka_partitions = EXCLUDED.kafka_partitions,
    write_time = EXCLUDED.write_time
