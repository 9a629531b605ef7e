-- A search of list_jobs: the jobs that wait for one, directly or not, sorted. However many jobs there are, only these are
-- read: each by its key, which a join would not promise.
SELECT waiting_job.*
FROM (
    SELECT tenant.partition_id, job.*
    FROM (
        SELECT tenant_key, partition_id FROM tenant WHERE partition_id = {partition_id}::text
        OFFSET 0  -- so that it is known to be one row
    ) AS tenant
    JOIN (
{dependents}
    ) AS dependent ON dependent.tenant_key = tenant.tenant_key
    CROSS JOIN LATERAL (
        SELECT job.*
        FROM job
        WHERE job.tenant_key = dependent.tenant_key AND job.job_key = dependent.job_key
        LIMIT 1
    ) AS job
    WHERE {conditions}
    OFFSET 0
) AS waiting_job
ORDER BY {order}
LIMIT %(limit)s
