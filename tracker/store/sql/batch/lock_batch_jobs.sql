-- Lock the jobs of a batch, which are found by name, in key order. A cancel that has committed is seen here; a later
-- one waits for the batch.
SELECT job.tenant_key, job.job_key, tenant.partition_id, job.job_id, job.status, job.percentage
FROM unnest(%(partition_ids)b::text[], %(job_ids)b::text[]) AS wanted (partition_id, job_id)
JOIN tenant ON tenant.partition_id = wanted.partition_id
JOIN job ON job.tenant_key = tenant.tenant_key AND job.job_id = wanted.job_id
ORDER BY job.tenant_key, job.job_key
FOR NO KEY UPDATE OF job
