-- Deletes locked jobs, with their pending tasks and everything that belongs to them. Jobs that wait for them keep
-- waiting, as for a job that does not exist yet.
-- Returns the number of dropped held messages of each job that had any.
WITH gone_job AS MATERIALIZED (
    SELECT tenant_key, job_key
    FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS gone_job (tenant_key, job_key)
),
deleted_job AS (
    DELETE FROM job USING gone_job
    WHERE job.tenant_key = gone_job.tenant_key AND job.job_key = gone_job.job_key
),
deleted_label AS (
    DELETE FROM label USING gone_job
    WHERE label.tenant_key = gone_job.tenant_key AND label.job_key = gone_job.job_key
),
deleted_prerequisite AS (
    DELETE FROM prerequisite USING gone_job
    WHERE prerequisite.tenant_key = gone_job.tenant_key AND prerequisite.job_key = gone_job.job_key
),
deleted_resumed_job AS (
    DELETE FROM resumed_job USING gone_job
    WHERE resumed_job.tenant_key = gone_job.tenant_key AND resumed_job.job_key = gone_job.job_key
),
deleted_outbox AS (
    DELETE FROM outbox USING gone_job
    WHERE outbox.tenant_key = gone_job.tenant_key AND outbox.job_key = gone_job.job_key
),
deleted_task AS (
    DELETE FROM task USING gone_job
    WHERE task.tenant_key = gone_job.tenant_key AND task.job_key = gone_job.job_key
),
deleted_task_block AS (
    DELETE FROM task_block USING gone_job
    WHERE task_block.tenant_key = gone_job.tenant_key AND task_block.job_key = gone_job.job_key
),
deleted_task_failure AS (
    DELETE FROM task_failure USING gone_job
    WHERE task_failure.tenant_key = gone_job.tenant_key AND task_failure.job_key = gone_job.job_key
),
deleted_pending_task AS (
    DELETE FROM pending_task USING gone_job
    WHERE pending_task.tenant_key = gone_job.tenant_key AND pending_task.job_key = gone_job.job_key
    RETURNING pending_task.tenant_key, pending_task.job_key
),
deleted_held_message AS (
    DELETE FROM held_message USING gone_job
    WHERE held_message.tenant_key = gone_job.tenant_key AND held_message.job_key = gone_job.job_key
    RETURNING held_message.tenant_key, held_message.job_key
),
drop AS (
    SELECT tenant_key, 'pending_task' AS kind, count(*) AS amount, min(job_key) AS job_key
    FROM deleted_pending_task
    GROUP BY tenant_key
    UNION ALL
    SELECT tenant_key, 'held_message', count(*), min(job_key)
    FROM deleted_held_message
    GROUP BY tenant_key
),
noted_drop AS (
    INSERT INTO dropped_work (tenant_key, kind, reason, amount, job_id)
    SELECT drop.tenant_key, drop.kind, 'deleted', drop.amount, job.job_id
    FROM drop
    JOIN job ON job.tenant_key = drop.tenant_key AND job.job_key = drop.job_key
)
SELECT tenant_key, job_key, count(*)
FROM deleted_held_message
GROUP BY tenant_key, job_key
