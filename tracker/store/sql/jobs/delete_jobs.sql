-- Delete locked jobs, with everything that belongs to them. Their dependents keep waiting, as for a job that does
-- not exist yet.
-- Return the number of dropped held messages of each job that had any.
WITH locked_job AS MATERIALIZED (
    SELECT tenant_key, job_key
    FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS locked_job (tenant_key, job_key)
),
deleted_job AS (
    DELETE FROM job USING locked_job
    WHERE job.tenant_key = locked_job.tenant_key AND job.job_key = locked_job.job_key
),
deleted_label AS (
    DELETE FROM label USING locked_job
    WHERE label.tenant_key = locked_job.tenant_key AND label.job_key = locked_job.job_key
),
deleted_note AS (
    DELETE FROM job_note USING locked_job
    WHERE job_note.tenant_key = locked_job.tenant_key AND job_note.job_key = locked_job.job_key
),
deleted_prerequisite AS (
    DELETE FROM prerequisite USING locked_job
    WHERE prerequisite.tenant_key = locked_job.tenant_key AND prerequisite.job_key = locked_job.job_key
),
deleted_resumed_job AS (
    DELETE FROM resumed_job USING locked_job
    WHERE resumed_job.tenant_key = locked_job.tenant_key AND resumed_job.job_key = locked_job.job_key
),
deleted_outbox AS (
    DELETE FROM outbox USING locked_job
    WHERE outbox.tenant_key = locked_job.tenant_key AND outbox.job_key = locked_job.job_key
),
deleted_sibling_tasks AS (
    DELETE FROM sibling_tasks USING locked_job
    WHERE sibling_tasks.tenant_key = locked_job.tenant_key AND sibling_tasks.job_key = locked_job.job_key
),
deleted_task_block AS (
    DELETE FROM task_block USING locked_job
    WHERE task_block.tenant_key = locked_job.tenant_key AND task_block.job_key = locked_job.job_key
),
deleted_task_failure AS (
    DELETE FROM task_failure USING locked_job
    WHERE task_failure.tenant_key = locked_job.tenant_key AND task_failure.job_key = locked_job.job_key
),
deleted_task_message AS (
    DELETE FROM task_message USING locked_job
    WHERE task_message.tenant_key = locked_job.tenant_key AND task_message.job_key = locked_job.job_key
    RETURNING task_message.tenant_key, task_message.job_key, task_message.sent_time
),
deleted_held_message AS (
    DELETE FROM held_message USING locked_job
    WHERE held_message.tenant_key = locked_job.tenant_key AND held_message.job_key = locked_job.job_key
    RETURNING held_message.tenant_key, held_message.job_key
),
drop_count AS (
    SELECT tenant_key, 'pending_task' AS kind, count(*) AS amount, min(job_key) AS job_key
    FROM deleted_task_message
    WHERE sent_time IS NULL
    GROUP BY tenant_key
    UNION ALL
    SELECT tenant_key, 'held_message', count(*), min(job_key)
    FROM deleted_held_message
    GROUP BY tenant_key
),
recorded_drop AS (
    INSERT INTO dropped_work (tenant_key, kind, reason, amount, job_id)
    SELECT drop_count.tenant_key, drop_count.kind, 'deleted', drop_count.amount, job.job_id
    FROM drop_count
    JOIN job ON job.tenant_key = drop_count.tenant_key AND job.job_key = drop_count.job_key
)
SELECT tenant_key, job_key, count(*)
FROM deleted_held_message
GROUP BY tenant_key, job_key
