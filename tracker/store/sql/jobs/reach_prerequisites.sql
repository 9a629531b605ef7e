-- Return the unmet prerequisites of some jobs, theirs, and so on, with the jobs themselves, up to a limit. Rows are
-- returned as they are found, so that the search ends at the limit.
WITH RECURSIVE reached_job (tenant_key, job_id) AS (
    SELECT start_job.tenant_key, start_job.job_id COLLATE "C"
    FROM unnest(%(tenant_keys)b::integer[], %(job_ids)b::text[]) AS start_job (tenant_key, job_id)
    UNION  -- not UNION ALL: a diamond is walked once
    SELECT prerequisite.tenant_key, prerequisite.prerequisite_job_id
    FROM reached_job
    JOIN job ON job.tenant_key = reached_job.tenant_key AND job.job_id = reached_job.job_id
    JOIN prerequisite
        ON prerequisite.tenant_key = job.tenant_key AND prerequisite.job_key = job.job_key
)
SELECT tenant_key, job_id
FROM reached_job
LIMIT %(limit)b
