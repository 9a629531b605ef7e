-- The pending tasks of jobs that are locked already, locked in key order too: a batch that meets a
-- prerequisite locks them without locking the job.
SELECT pending_task.tenant_key, pending_task.job_key
FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS locked_job (tenant_key, job_key)
JOIN pending_task USING (tenant_key, job_key)
ORDER BY pending_task.tenant_key, pending_task.job_key
FOR UPDATE OF pending_task
