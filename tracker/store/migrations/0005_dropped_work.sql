-- Works with programs from 0.2.0 on.
--
-- Stored work that was dropped without being sent, for the scheduler to count and to log: users cancel and delete
-- jobs from programs that have no metrics. One row a statement, kind, reason and tenant, however many jobs it was.
CREATE TABLE dropped_work (
    tenant_key integer NOT NULL,
    drop_id    uuid NOT NULL DEFAULT gen_random_uuid(),
    kind       text NOT NULL,    -- held_message, pending_task
    reason     text NOT NULL,    -- cancelled, deleted, completed, failed, prerequisite_failed
    amount     bigint NOT NULL,  -- how many messages
    job_id     text NOT NULL,    -- of one of the jobs
    PRIMARY KEY (tenant_key, drop_id)
);
