-- Return the first jobs for which a job waits in the end, and how many there are: those further up that wait for no other
-- job, that have failed by themselves or were cancelled, or that are not stored. The most telling first.
WITH RECURSIVE reached_job (tenant_key, job_id) AS (
    SELECT prerequisite.tenant_key, prerequisite.prerequisite_job_id
    FROM prerequisite
    WHERE prerequisite.tenant_key = %(tenant_key)b::integer AND prerequisite.job_key = %(job_key)b::bigint
    UNION  -- not UNION ALL: a diamond is walked once, and a cycle has an end
    SELECT prerequisite.tenant_key, prerequisite.prerequisite_job_id
    FROM reached_job
    JOIN job ON job.tenant_key = reached_job.tenant_key AND job.job_id = reached_job.job_id
    JOIN prerequisite ON prerequisite.tenant_key = job.tenant_key AND prerequisite.job_key = job.job_key
    WHERE job.status < 3 /* Failed */ OR job.root_job_id IS NOT NULL
),
root AS (
    SELECT reached_job.job_id, job.job_key, job.status
    FROM reached_job
    LEFT JOIN job ON job.tenant_key = reached_job.tenant_key AND job.job_id = reached_job.job_id
    WHERE job.job_key IS NULL
        OR (job.status >= 3 /* Failed */ AND job.root_job_id IS NULL)
        OR NOT EXISTS (
            SELECT FROM prerequisite
            WHERE prerequisite.tenant_key = job.tenant_key AND prerequisite.job_key = job.job_key
        )
)
SELECT job_id, job_key, status, count(*) OVER () AS root_count
FROM root
ORDER BY CASE status
             WHEN 3 /* Failed */ THEN 0 WHEN 4 /* Cancelled */ THEN 1 WHEN 2 /* Paused */ THEN 3
             WHEN 0 /* Waiting */ THEN 4 WHEN 1 /* Active */ THEN 5 ELSE 2
         END,
         job_id
LIMIT %(limit)b
