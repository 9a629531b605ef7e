-- A part of search_updated: the first of the jobs that have not completed. All of them are read, and only these joined.
SELECT tenant.partition_id, open_job.*
FROM (
    SELECT job.*
    FROM job
    WHERE job.status = ANY (%(statuses)b::smallint[]) AND job.status <> 5 /* Completed */
        AND {conditions}
    ORDER BY {order}
    LIMIT %(limit)s
) AS open_job
JOIN tenant ON tenant.tenant_key = open_job.tenant_key
