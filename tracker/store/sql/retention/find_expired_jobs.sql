-- Scan the jobs in the order of an index, from a cursor on, one tenant after another, and return which of them ended
-- so long ago that they are to be removed. This locks none of them. A tenant without old jobs has one row without a
-- job, so that neither many jobs nor many tenants make the result long. If a time is null, such jobs are kept.
--
-- A job ends after it was created, so the scan leaves each tenant at the first job that is too young.
SELECT scanned_tenant.tenant_key, scanned_job.create_time, scanned_job.job_key, scanned_job.is_expired
FROM (
    SELECT tenant_key FROM tenant WHERE tenant_key >= %(tenant_key)b::integer ORDER BY tenant_key
) AS scanned_tenant
LEFT JOIN LATERAL (
    SELECT job.create_time, job.job_key,
           job.last_update_time < now() - make_interval(secs => CASE
               WHEN job.status = 3 /* Failed */ THEN %(failed_s)b::bigint
               WHEN job.status IN (4 /* Cancelled */, 5 /* Completed */) THEN %(ended_s)b::bigint
           END) IS TRUE AS is_expired
    FROM job
    WHERE job.tenant_key = scanned_tenant.tenant_key
        AND job.create_time < now() - make_interval(secs => least(%(ended_s)b::bigint, %(failed_s)b::bigint))
        AND (job.create_time, job.job_key) > (
            coalesce(
                CASE WHEN scanned_tenant.tenant_key = %(tenant_key)b::integer THEN %(create_time)b::timestamptz END,
                '-infinity'
            ),
            %(job_key)b::bigint
        )
    ORDER BY job.create_time, job.job_key
    LIMIT %(limit)b
) AS scanned_job ON true
ORDER BY scanned_tenant.tenant_key, scanned_job.create_time, scanned_job.job_key
LIMIT %(limit)b
