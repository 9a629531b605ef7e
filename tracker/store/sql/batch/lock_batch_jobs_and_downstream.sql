-- Lock jobs as lock_batch_jobs does, and all jobs downstream of those that the batch may fail, because it may
-- propagate failures to them. One statement locks all jobs of a transaction in one order; otherwise two
-- transactions could wait for each other.
WITH RECURSIVE wanted_job AS (
    SELECT job.tenant_key, job.job_key, job.job_id, wanted.may_fail
    FROM unnest(%(partition_ids)b::text[], %(job_ids)b::text[], %(may_fail)b::boolean[])
        AS wanted (partition_id, job_id, may_fail)
    JOIN tenant ON tenant.partition_id = wanted.partition_id
    JOIN job ON job.tenant_key = tenant.tenant_key AND job.job_id = wanted.job_id
),
downstream_job AS (
    SELECT tenant_key, job_key, job_id FROM wanted_job WHERE may_fail
    UNION
    SELECT dependent.tenant_key, dependent.job_key, dependent.job_id
    FROM downstream_job
    JOIN prerequisite
        ON prerequisite.tenant_key = downstream_job.tenant_key
        AND prerequisite.prerequisite_job_id = downstream_job.job_id
    JOIN job AS dependent
        ON dependent.tenant_key = prerequisite.tenant_key AND dependent.job_key = prerequisite.job_key
        AND dependent.status < 3 /* Failed */
),
locked_key AS (
    SELECT tenant_key, job_key FROM wanted_job
    UNION
    SELECT tenant_key, job_key FROM downstream_job
)
SELECT job.tenant_key, job.job_key, tenant.partition_id, job.job_id, job.status, job.percentage
FROM locked_key
JOIN job ON job.tenant_key = locked_key.tenant_key AND job.job_key = locked_key.job_key
JOIN tenant ON tenant.tenant_key = job.tenant_key
ORDER BY job.tenant_key, job.job_key
FOR NO KEY UPDATE OF job
