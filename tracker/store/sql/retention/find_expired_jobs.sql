-- Walks the jobs in the order of an index, from a cursor on, tenant by tenant, and says which of them ended so long
-- ago that they are to be removed; without locking any. A tenant without old jobs has one row without job, so that
-- neither many jobs nor many tenants make it long. A time that is null: such jobs are kept.
--
-- A job ends after it was created, so the walk leaves each tenant at the first job that is too young.
SELECT walked_tenant.tenant_key, walked_job.create_time, walked_job.job_key, walked_job.is_expired
FROM (
    SELECT tenant_key FROM tenant WHERE tenant_key >= %(tenant_key)b::integer ORDER BY tenant_key
) AS walked_tenant
LEFT JOIN LATERAL (
    SELECT job.create_time, job.job_key,
           job.last_update_time < now() - make_interval(secs => CASE
               WHEN job.status = 3 /* Failed */ THEN %(failed_s)b::bigint
               WHEN job.status IN (4 /* Cancelled */, 5 /* Completed */) THEN %(ended_s)b::bigint
           END) IS TRUE AS is_expired
    FROM job
    WHERE job.tenant_key = walked_tenant.tenant_key
        AND job.create_time < now() - make_interval(secs => least(%(ended_s)b::bigint, %(failed_s)b::bigint))
        AND (job.create_time, job.job_key) > (
            coalesce(
                CASE WHEN walked_tenant.tenant_key = %(tenant_key)b::integer THEN %(create_time)b::timestamptz END,
                '-infinity'
            ),
            %(job_key)b::bigint
        )
    ORDER BY job.create_time, job.job_key
    LIMIT %(limit)b
) AS walked_job ON true
ORDER BY walked_tenant.tenant_key, walked_job.create_time, walked_job.job_key
LIMIT %(limit)b
