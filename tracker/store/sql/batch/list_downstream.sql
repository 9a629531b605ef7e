-- Return the jobs downstream of locked jobs. This finds a job that was submitted while the batch waited for the
-- locks. No job can be added any more, because a submit takes share locks on prerequisites.
WITH RECURSIVE downstream_job AS (
    SELECT job.tenant_key, job.job_key, job.job_id
    FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS root (tenant_key, job_key)
    JOIN job ON job.tenant_key = root.tenant_key AND job.job_key = root.job_key
    UNION
    SELECT dependent.tenant_key, dependent.job_key, dependent.job_id
    FROM downstream_job
    JOIN prerequisite
        ON prerequisite.tenant_key = downstream_job.tenant_key
        AND prerequisite.prerequisite_job_id = downstream_job.job_id
    JOIN job AS dependent
        ON dependent.tenant_key = prerequisite.tenant_key AND dependent.job_key = prerequisite.job_key
        AND dependent.status < 3 /* Failed */
)
SELECT tenant_key, job_key FROM downstream_job
