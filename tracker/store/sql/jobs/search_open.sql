-- A search of list_jobs: all jobs that have not completed and match, sorted by what their index is not sorted by. OFFSET 0
-- keeps the planner from reading job after job in that order instead, in the hope of finding enough early.
SELECT open_job.*
FROM (
    SELECT tenant.partition_id, job.*
    FROM job
    JOIN tenant ON tenant.tenant_key = job.tenant_key
    WHERE job.status = ANY (%(statuses)b::smallint[]) AND job.status <> 5 /* Completed */
        AND {conditions}
    OFFSET 0
) AS open_job
ORDER BY {order}
LIMIT %(limit)s
