-- A part of search_updated: the first completed jobs of each tenant, and of these the first of all. The index has their keys
-- in order; of the jobs themselves only the first of all are read. The tenants are those of first_tenants.
SELECT first_key.partition_id, first_job.*
FROM (
    SELECT tenant.tenant_key, tenant.partition_id, tenant_job.job_key
    FROM {tenants}
    CROSS JOIN LATERAL (
        SELECT job.end_time, job.job_key
        FROM job
        WHERE job.tenant_key = tenant.tenant_key
            AND {conditions}
        ORDER BY {order}
        LIMIT %(limit)s
    ) AS tenant_job
    ORDER BY {order}
    LIMIT %(limit)s
) AS first_key
CROSS JOIN LATERAL (
    SELECT job.*
    FROM job
    WHERE job.tenant_key = first_key.tenant_key AND job.job_key = first_key.job_key
    LIMIT 1
) AS first_job
