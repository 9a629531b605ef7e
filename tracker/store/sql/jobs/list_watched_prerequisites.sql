-- Return the names of some jobs, of their unmet prerequisites, theirs, and so on, each once, and whether the job is stored.
-- Each step is a search by key for each job that was reached: a join may read all jobs.
WITH RECURSIVE reached_job (tenant_key, partition_id, job_id) AS (
    SELECT tenant.tenant_key, tenant.partition_id, start_job.job_id COLLATE "C"
    FROM unnest(%(partition_ids)b::text[], %(job_ids)b::text[]) AS start_job (partition_id, job_id)
    JOIN tenant USING (partition_id)
    UNION  -- not UNION ALL: a diamond is walked once
    SELECT reached_job.tenant_key, reached_job.partition_id, edge.prerequisite_job_id
    FROM reached_job
    CROSS JOIN LATERAL (
        SELECT job.job_key
        FROM job
        WHERE job.tenant_key = reached_job.tenant_key AND job.job_id = reached_job.job_id
        LIMIT 1
    ) AS stored_job
    CROSS JOIN LATERAL (
        SELECT prerequisite.prerequisite_job_id
        FROM prerequisite
        WHERE prerequisite.tenant_key = reached_job.tenant_key AND prerequisite.job_key = stored_job.job_key
        ORDER BY prerequisite.prerequisite_job_id
        OFFSET 0
    ) AS edge
)
SELECT
    partition_id, job_id,
    -- The limit keeps the planner from making a join of it.
    (
        SELECT true
        FROM job
        WHERE job.tenant_key = reached_job.tenant_key AND job.job_id = reached_job.job_id
        LIMIT 1
    ) IS NOT NULL AS stored
FROM reached_job
