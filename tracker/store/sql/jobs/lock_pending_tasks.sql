-- Lock the pending tasks of locked jobs, also in key order: a batch that completes a prerequisite locks them without
-- a lock on the job.
SELECT pending_task.tenant_key, pending_task.job_key
FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS locked_job (tenant_key, job_key)
JOIN pending_task USING (tenant_key, job_key)
ORDER BY pending_task.tenant_key, pending_task.job_key
FOR UPDATE OF pending_task
