-- A search of list_jobs: of the jobs that come first in the order of create_time, those that match. It looks at about as many
-- as it is told to, and a few times as many at most: if enough of these match, they are the first of all that match.
--
-- Which jobs come first: those up to the edge. Each tenant's first few make it, and where all of these come before it, the
-- tenant may have very many there, and the edge is nearer.
WITH head AS MATERIALIZED (
    SELECT tenant.tenant_key, head_job.create_time, head_job.job_key
    FROM tenant
    CROSS JOIN LATERAL (
        SELECT job.create_time, job.job_key
        FROM job
        WHERE job.tenant_key = tenant.tenant_key
            AND {position}
        ORDER BY {order}
        LIMIT (SELECT 4 * %(looked_at)s / greatest(count(*), 1) + 1 FROM tenant WHERE {tenants})
    ) AS head_job
    WHERE {tenants}
    ORDER BY {order}
    LIMIT %(looked_at)s
),
dense_tenant AS MATERIALIZED (
    SELECT tenant_key
    FROM head
    GROUP BY tenant_key
    HAVING count(*) > (SELECT 4 * %(looked_at)s / greatest(count(*), 1) FROM tenant WHERE {tenants})
),
edge AS MATERIALIZED (
    SELECT create_time, job_key
    FROM (
        (SELECT create_time, job_key FROM head ORDER BY {reverse} LIMIT 1)
        UNION ALL
        SELECT last_job.create_time, last_job.job_key
        FROM dense_tenant
        CROSS JOIN LATERAL (
            SELECT job.create_time, job.job_key
            FROM job
            WHERE job.tenant_key = dense_tenant.tenant_key
                AND {position}
            ORDER BY {order}
            OFFSET %(looked_at)s
            LIMIT 1
        ) AS last_job
    ) AS last_of_some
    ORDER BY {order}
    LIMIT 1
)
SELECT tenant.partition_id, job.*
FROM tenant
CROSS JOIN LATERAL (
    SELECT job.*
    FROM job
    WHERE job.tenant_key = tenant.tenant_key
        AND {position}
        AND (job.create_time, job.job_key) {operator} (SELECT create_time, job_key FROM edge)
    LIMIT %(looked_at)s + 1  -- as many as the edge leaves of any tenant
) AS job
WHERE {tenants}
    AND {conditions}
ORDER BY {order}
LIMIT %(limit)s
