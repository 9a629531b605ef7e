-- Works with programs from 0.2.0 on.
-- outside a transaction
--
-- Jobs that have not completed, which are few beside all others, by status and newest first: for lists and counts. An
-- update of a job stays in place (HOT) while its status stays the same. The tenant comes last, so that one index serves
-- lists of one tenant and of all.
CREATE INDEX CONCURRENTLY IF NOT EXISTS job_open ON tracker.job (status, create_time, job_key, tenant_key)
    WHERE status <> 5 /* Completed */;
