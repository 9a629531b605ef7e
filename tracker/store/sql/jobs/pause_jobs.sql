-- Pause locked jobs, with their task messages, even those that are in the outbox: they may be taken out again. Messages
-- that were held by an earlier pause and have not been sent are held again.
WITH paused_job AS MATERIALIZED (
    SELECT tenant_key, job_key
    FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS paused_job (tenant_key, job_key)
),
updated_job AS (
    UPDATE job SET status = 2 /* Paused */, last_update_time = now(), pause_time = now(), action_key = %(action_key)s
    FROM paused_job
    WHERE job.tenant_key = paused_job.tenant_key AND job.job_key = paused_job.job_key
),
deleted_resumed_job AS (
    DELETE FROM resumed_job USING paused_job
    WHERE resumed_job.tenant_key = paused_job.tenant_key AND resumed_job.job_key = paused_job.job_key
)
UPDATE task_message SET paused = true
FROM paused_job
WHERE task_message.tenant_key = paused_job.tenant_key AND task_message.job_key = paused_job.job_key
