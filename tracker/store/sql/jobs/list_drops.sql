-- Return how many messages of named jobs were dropped. A job of which none was has no row.
SELECT job.tenant_key, job.job_key, job_note.dropped
FROM unnest(%(partition_ids)b::text[], %(job_ids)b::text[]) AS named_job (partition_id, job_id)
JOIN tenant USING (partition_id)
JOIN job USING (tenant_key, job_id)
JOIN job_note USING (tenant_key, job_key)
WHERE job_note.dropped > 0
