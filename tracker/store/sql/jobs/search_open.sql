-- A search of list_jobs: all jobs that have not completed and match, sorted by what their index is not sorted by.
SELECT tenant.partition_id, job.*
FROM job
JOIN tenant ON tenant.tenant_key = job.tenant_key
WHERE job.status = ANY (%(statuses)b::smallint[]) AND job.status <> 5 /* Completed */
    AND {conditions}
ORDER BY {order}
LIMIT %(limit)s
