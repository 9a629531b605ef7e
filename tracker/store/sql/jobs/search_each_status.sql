-- A search of list_jobs: the first jobs of each status, by the index of those that have not completed, and of these the
-- first of all.
SELECT tenant.partition_id, status_job.*
FROM unnest(%(statuses)b::smallint[]) AS wanted (status)
CROSS JOIN LATERAL (
    SELECT job.*
    FROM job
    WHERE job.status = wanted.status AND job.status <> 5 /* Completed */
        AND {conditions}
    ORDER BY {order}
    LIMIT %(limit)s
) AS status_job
JOIN tenant ON tenant.tenant_key = status_job.tenant_key
ORDER BY {order}
LIMIT %(limit)s
