-- Return what some jobs wait for, what these wait for, and so on, as edges from dependent to prerequisite, with the status
-- of the prerequisite and whether it is a root, as find_roots has them. A job is walked once, however many wait for it. Rows
-- are counted as they are found, so that the search ends at the limits.
WITH RECURSIVE reached_job (tenant_key, job_key) AS (
    SELECT wanted_job.tenant_key, wanted_job.job_key
    FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS wanted_job (tenant_key, job_key)
    UNION  -- not UNION ALL: a diamond is walked once, and a cycle has an end
    SELECT next_job.tenant_key, next_job.job_key
    FROM reached_job
    CROSS JOIN LATERAL (
        SELECT prerequisite.prerequisite_job_id
        FROM prerequisite
        WHERE prerequisite.tenant_key = reached_job.tenant_key AND prerequisite.job_key = reached_job.job_key
        OFFSET 0
    ) AS edge
    CROSS JOIN LATERAL (
        SELECT job.tenant_key, job.job_key
        FROM job
        WHERE job.tenant_key = reached_job.tenant_key AND job.job_id = edge.prerequisite_job_id
            AND (job.status < 3 /* Failed */ OR job.root_job_id IS NOT NULL)
        LIMIT 1
    ) AS next_job
)
SELECT first_job.tenant_key, first_job.job_key, edge.prerequisite_job_id,
       prerequisite_job.job_key AS prerequisite_key, prerequisite_job.status,
       coalesce(prerequisite_job.is_root, true)  -- it is not stored
FROM (SELECT tenant_key, job_key FROM reached_job LIMIT %(most_jobs)b) AS first_job
CROSS JOIN LATERAL (
    SELECT prerequisite.prerequisite_job_id
    FROM prerequisite
    WHERE prerequisite.tenant_key = first_job.tenant_key AND prerequisite.job_key = first_job.job_key
    OFFSET 0
) AS edge
LEFT JOIN LATERAL (
    SELECT job.job_key, job.status,
           (job.status >= 3 /* Failed */ AND job.root_job_id IS NULL)
               OR NOT EXISTS (
                   SELECT FROM prerequisite
                   WHERE prerequisite.tenant_key = job.tenant_key AND prerequisite.job_key = job.job_key
                   OFFSET 0
               ) AS is_root
    FROM job
    WHERE job.tenant_key = first_job.tenant_key AND job.job_id = edge.prerequisite_job_id
    LIMIT 1
) AS prerequisite_job ON true
LIMIT %(most_edges)b
