-- Lock the stored jobs that new jobs wait for, until the edges are committed: either this sees what a batch has
-- completed or failed, or the batch sees the edge. In key order, as every statement does. 5 µs a job.
SELECT job.tenant_key, job.job_id, job.status
FROM unnest(%(tenant_keys)b::integer[], %(job_ids)b::text[]) AS wanted_job (tenant_key, job_id)
JOIN job USING (tenant_key, job_id)
ORDER BY job.tenant_key, job.job_key
FOR SHARE OF job
