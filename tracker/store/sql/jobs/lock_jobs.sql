-- Lock jobs in key order, and return their names and statuses.
SELECT job.tenant_key, job.job_key, tenant.partition_id, job.job_id, job.status
FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS wanted_job (tenant_key, job_key)
JOIN job ON job.tenant_key = wanted_job.tenant_key AND job.job_key = wanted_job.job_key
JOIN tenant ON tenant.tenant_key = job.tenant_key
ORDER BY job.tenant_key, job.job_key
FOR UPDATE OF job
