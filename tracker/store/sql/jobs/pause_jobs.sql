-- Pause locked jobs, with their pending tasks. Messages that were held by an earlier pause and have not been sent
-- are held again. `resumed` is for programs before 0.2.0, which may run beside this one: they send an Active job
-- only if it is set.
WITH paused_job AS MATERIALIZED (
    SELECT tenant_key, job_key
    FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS paused_job (tenant_key, job_key)
),
updated_job AS (
    UPDATE job SET status = 2 /* Paused */, last_update_time = now()
    FROM paused_job
    WHERE job.tenant_key = paused_job.tenant_key AND job.job_key = paused_job.job_key
),
deleted_resumed_job AS (
    DELETE FROM resumed_job USING paused_job
    WHERE resumed_job.tenant_key = paused_job.tenant_key AND resumed_job.job_key = paused_job.job_key
)
UPDATE pending_task SET paused = true, resumed = pending_task.resumed OR job.status = 0 /* Waiting */
FROM paused_job
JOIN job ON job.tenant_key = paused_job.tenant_key AND job.job_key = paused_job.job_key
WHERE pending_task.tenant_key = paused_job.tenant_key AND pending_task.job_key = paused_job.job_key
