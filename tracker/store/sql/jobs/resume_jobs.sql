-- Resume locked, paused jobs, with their task messages, and record which have held messages to be sent.
WITH active_job AS MATERIALIZED (
    SELECT tenant_key, job_key
    FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS active_job (tenant_key, job_key)
),
updated_job AS (
    UPDATE job SET status = 1 /* Active */, last_update_time = now(), pause_time = NULL, action_key = %(action_key)s
    FROM active_job
    WHERE job.tenant_key = active_job.tenant_key AND job.job_key = active_job.job_key
),
updated_task_message AS (
    UPDATE task_message SET paused = false
    FROM active_job
    WHERE task_message.tenant_key = active_job.tenant_key AND task_message.job_key = active_job.job_key
        AND task_message.paused
)
INSERT INTO resumed_job (tenant_key, job_key)
SELECT active_job.tenant_key, active_job.job_key
FROM active_job
WHERE EXISTS (
    SELECT
    FROM held_message
    WHERE held_message.tenant_key = active_job.tenant_key AND held_message.job_key = active_job.job_key
)
ON CONFLICT DO NOTHING
