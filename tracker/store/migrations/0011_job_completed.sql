-- Works with programs from 0.2.0 on.
-- outside a transaction
--
-- Completed jobs, the last of a tenant first: for lists by last update. A completed job is never updated. Not an index on
-- last_update_time: that changes with every batch, and no update would be in place (HOT).
CREATE INDEX CONCURRENTLY IF NOT EXISTS job_completed ON tracker.job (tenant_key, end_time, job_key)
    WHERE status = 5 /* Completed */;
