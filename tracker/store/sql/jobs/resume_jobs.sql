-- Resume locked, paused jobs, with their pending tasks, and record which have held messages to be sent.
WITH active_job AS MATERIALIZED (
    SELECT tenant_key, job_key
    FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS active_job (tenant_key, job_key)
),
updated_job AS (
    UPDATE job SET status = 1 /* Active */, last_update_time = now()
    FROM active_job
    WHERE job.tenant_key = active_job.tenant_key AND job.job_key = active_job.job_key
),
updated_pending_task AS (
    UPDATE pending_task SET paused = false
    FROM active_job
    WHERE pending_task.tenant_key = active_job.tenant_key AND pending_task.job_key = active_job.job_key
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
