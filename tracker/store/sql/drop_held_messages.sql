-- Drop what is held for jobs that were paused and have ended: it would be dropped if it came now.
DELETE FROM held_message
USING unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS ended_job (tenant_key, job_key)
WHERE held_message.tenant_key = ended_job.tenant_key AND held_message.job_key = ended_job.job_key
