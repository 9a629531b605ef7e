-- Return all unmet prerequisites of some jobs, theirs, and so on, as edges from dependent to prerequisite.
WITH RECURSIVE reached_job (tenant_key, job_id) AS (
    SELECT start_job.tenant_key, start_job.job_id COLLATE "C"
    FROM unnest(%(tenant_keys)b::integer[], %(job_ids)b::text[]) AS start_job (tenant_key, job_id)
    UNION  -- not UNION ALL: a diamond is walked once
    SELECT prerequisite.tenant_key, prerequisite.prerequisite_job_id
    FROM reached_job
    JOIN job USING (tenant_key, job_id)
    JOIN prerequisite USING (tenant_key, job_key)
)
SELECT job.tenant_key, job.job_id, prerequisite.prerequisite_job_id
FROM reached_job
JOIN job USING (tenant_key, job_id)
JOIN prerequisite USING (tenant_key, job_key)
