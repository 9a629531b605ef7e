-- Lock the task messages of locked jobs, also in key order: a batch that completes a prerequisite locks them without
-- a lock on the job. Return which have been sent.
SELECT task_message.tenant_key, task_message.job_key, task_message.sent_time IS NOT NULL AS is_sent
FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS locked_job (tenant_key, job_key)
JOIN task_message USING (tenant_key, job_key)
ORDER BY task_message.tenant_key, task_message.job_key
FOR UPDATE OF task_message
