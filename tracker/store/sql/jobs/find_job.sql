-- Return the keys and the status of a job, and the summary of its failures.
SELECT job.tenant_key, job.job_key, job.status, job.failure_summary
FROM tenant
JOIN job USING (tenant_key)
WHERE tenant.partition_id = %(partition_id)s::text AND job.job_id = %(job_id)s::text
