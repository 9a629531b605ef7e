-- Return which of the submitted jobs are stored already, with the hashes of their content and their statuses.
SELECT job.tenant_key, job.job_id, job.content_hash, job.status
FROM unnest(%(tenant_keys)b::integer[], %(job_ids)b::text[]) AS submitted_job (tenant_key, job_id)
JOIN job USING (tenant_key, job_id)
