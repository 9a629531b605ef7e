-- Delete the task messages of jobs that have completed, because such jobs never start again. One that was never sent is
-- left to the scheduler: another batch, which completes a prerequisite of the job, may hold the lock of its row.
DELETE FROM task_message
USING unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS completed_job (tenant_key, job_key)
WHERE task_message.tenant_key = completed_job.tenant_key AND task_message.job_key = completed_job.job_key
    AND task_message.sent_time IS NOT NULL
