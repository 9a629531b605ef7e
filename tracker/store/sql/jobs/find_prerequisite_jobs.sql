-- Return the status of the stored jobs that new jobs name as prerequisites, without locks: it may change until
-- share_prerequisite_jobs reads it again.
SELECT job.tenant_key, job.job_id, job.status
FROM unnest(%(tenant_keys)b::integer[], %(job_ids)b::text[]) AS wanted_job (tenant_key, job_id)
JOIN job USING (tenant_key, job_id)
