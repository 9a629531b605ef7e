-- Cancel locked jobs, and delete their task messages. Their dependents keep waiting. An outbox row remains,
-- because it may be on its way to Kafka: its sender drops it when it finds no payload.
-- Return the number of dropped held messages of each job that had any.
WITH ended_job AS MATERIALIZED (
    SELECT tenant_key, job_key
    FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS ended_job (tenant_key, job_key)
),
updated_job AS (
    UPDATE job SET status = 4 /* Cancelled */, last_update_time = now(), end_time = now(), action_key = %(action_key)s
    FROM ended_job
    WHERE job.tenant_key = ended_job.tenant_key AND job.job_key = ended_job.job_key
),
deleted_task_message AS (
    DELETE FROM task_message USING ended_job
    WHERE task_message.tenant_key = ended_job.tenant_key AND task_message.job_key = ended_job.job_key
    RETURNING task_message.tenant_key, task_message.job_key, task_message.sent_time
),
deleted_prerequisite AS (
    DELETE FROM prerequisite USING ended_job
    WHERE prerequisite.tenant_key = ended_job.tenant_key AND prerequisite.job_key = ended_job.job_key
),
deleted_resumed_job AS (
    DELETE FROM resumed_job USING ended_job
    WHERE resumed_job.tenant_key = ended_job.tenant_key AND resumed_job.job_key = ended_job.job_key
),
deleted_held_message AS (
    DELETE FROM held_message USING ended_job
    WHERE held_message.tenant_key = ended_job.tenant_key AND held_message.job_key = ended_job.job_key
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
    SELECT drop_count.tenant_key, drop_count.kind, 'cancelled', drop_count.amount, job.job_id
    FROM drop_count
    JOIN job ON job.tenant_key = drop_count.tenant_key AND job.job_key = drop_count.job_key
)
SELECT tenant_key, job_key, count(*)
FROM deleted_held_message
GROUP BY tenant_key, job_key
