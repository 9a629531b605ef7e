-- Lock jobs, and the stored jobs that they wait for, in one order: no batch can complete or fail one of these while the jobs
-- become Waiting.
WITH wanted_job AS (
    SELECT tenant_key, job_key
    FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS retried_job (tenant_key, job_key)
    UNION
    SELECT prerequisite_job.tenant_key, prerequisite_job.job_key
    FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS retried_job (tenant_key, job_key)
    JOIN prerequisite
        ON prerequisite.tenant_key = retried_job.tenant_key AND prerequisite.job_key = retried_job.job_key
    JOIN job AS prerequisite_job
        ON prerequisite_job.tenant_key = prerequisite.tenant_key
        AND prerequisite_job.job_id = prerequisite.prerequisite_job_id
)
SELECT FROM wanted_job
JOIN job ON job.tenant_key = wanted_job.tenant_key AND job.job_key = wanted_job.job_key
ORDER BY job.tenant_key, job.job_key
FOR UPDATE OF job
