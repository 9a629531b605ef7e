-- A search of list_jobs: the first jobs of each tenant, and of these the first of all. The tenants are the table, or those
-- of first_tenants.
SELECT tenant.partition_id, tenant_job.*
FROM {tenants}
CROSS JOIN LATERAL (
    SELECT job.*
    FROM job
    WHERE job.tenant_key = tenant.tenant_key
        AND {conditions}
    ORDER BY {order}
    LIMIT %(limit)s
) AS tenant_job
ORDER BY {order}
LIMIT %(limit)s
