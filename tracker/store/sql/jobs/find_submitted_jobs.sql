-- Which of the submitted jobs are stored already, with what content, and how far they are.
SELECT job.tenant_key, job.job_id, job.content_hash, job.status
FROM unnest(%(tenant_keys)b::integer[], %(job_ids)b::text[]) AS submitted_job (tenant_key, job_id)
JOIN job USING (tenant_key, job_id)
