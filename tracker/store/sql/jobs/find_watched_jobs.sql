-- Return what a watch shows of named jobs, and the position of each in the arrays: the status, the percentage, the attempt,
-- the row of tasks that has the job itself, and whether the percentage is an estimate. A job that is not stored has no row.
SELECT
    named_job.ordinality - 1, job.status, job.percentage, job.attempt, root.tasks,
    -- As in list_jobs: in the first 100 rows of its tasks.
    job.status < 5 /* Completed */ AND EXISTS (
        SELECT
        FROM (
            SELECT sibling_tasks.unknown
            FROM sibling_tasks
            WHERE sibling_tasks.tenant_key = job.tenant_key AND sibling_tasks.job_key = job.job_key
            ORDER BY sibling_tasks.path, sibling_tasks.number
            LIMIT 100
        ) AS first_siblings
        WHERE first_siblings.unknown <> 0
    ) AS estimate
FROM unnest(%(partition_ids)b::text[], %(job_ids)b::text[]) WITH ORDINALITY
    AS named_job (partition_id, job_id, ordinality)
JOIN tenant USING (partition_id)
JOIN job USING (tenant_key, job_id)
-- Searched by its whole key: a join may read all rows of the job.
LEFT JOIN LATERAL (
    SELECT sibling_tasks.tasks
    FROM sibling_tasks
    WHERE sibling_tasks.tenant_key = job.tenant_key AND sibling_tasks.job_key = job.job_key
        AND sibling_tasks.path = '' AND sibling_tasks.number = 0
    LIMIT 1
) AS root ON job.status < 5 /* Completed */
