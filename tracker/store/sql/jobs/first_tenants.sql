-- The tenants of search_each_tenant in which the first jobs of all can be: the first job of each tenant says which. A
-- hundred jobs of a thousand tenants take 1,000 rows and then those of a hundred tenants, instead of a hundred of each.
--
-- Rejected: an index by creation time without the tenant in front. The planner also takes it for the jobs of one tenant,
-- and then reads those of all others.
(
    SELECT tenant.tenant_key, tenant.partition_id
    FROM tenant
    CROSS JOIN LATERAL (
        SELECT job.*
        FROM job
        WHERE job.tenant_key = tenant.tenant_key
            AND {conditions}
        ORDER BY {order}
        LIMIT 1
    ) AS first_job
    ORDER BY {order}
    LIMIT %(limit)s
) AS tenant
