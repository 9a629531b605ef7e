-- Return rows of the tasks of one job. Each is searched by its whole key: a join may read all rows of the job.
SELECT wanted.path, wanted.number, siblings.tasks
FROM unnest(%(paths)b::text[], %(numbers)b::integer[]) AS wanted (path, number)
CROSS JOIN LATERAL (
    SELECT sibling_tasks.tasks
    FROM sibling_tasks
    WHERE sibling_tasks.tenant_key = %(tenant_key)s AND sibling_tasks.job_key = %(job_key)s
        AND sibling_tasks.path = wanted.path AND sibling_tasks.number = wanted.number
    LIMIT 1
) AS siblings
