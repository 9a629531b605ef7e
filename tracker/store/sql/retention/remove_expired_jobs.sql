-- Delete locked jobs that ended long ago, with their edges and task messages, except two kinds: jobs that others still
-- wait for (a failed one may be repaired, and only a job that is stored can be seen to be in the way), and jobs that
-- may have something left to send. Their tasks, which may be a million, are only noted.
--
-- Run it after the locks were taken, so that it sees which jobs came to wait before that. None can come now, because
-- a submit takes share locks on prerequisites.
-- Return the number of jobs by status, and the longest time in seconds for which one of them had not changed.
WITH expired_job AS MATERIALIZED (
    SELECT locked_job.tenant_key, locked_job.job_key, job.job_id, job.status
    FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS locked_job (tenant_key, job_key)
    JOIN job ON job.tenant_key = locked_job.tenant_key AND job.job_key = locked_job.job_key
    WHERE NOT EXISTS (
            SELECT FROM prerequisite
            JOIN job AS dependent
                ON dependent.tenant_key = prerequisite.tenant_key AND dependent.job_key = prerequisite.job_key
            WHERE prerequisite.tenant_key = job.tenant_key AND prerequisite.prerequisite_job_id = job.job_id
                AND dependent.status <> 3 /* Failed */
        )
        AND NOT EXISTS (
            SELECT FROM outbox WHERE outbox.tenant_key = job.tenant_key AND outbox.job_key = job.job_key
        )
        AND NOT EXISTS (
            SELECT FROM resumed_job
            WHERE resumed_job.tenant_key = job.tenant_key AND resumed_job.job_key = job.job_key
        )
        AND NOT EXISTS (
            SELECT FROM held_message
            WHERE held_message.tenant_key = job.tenant_key AND held_message.job_key = job.job_key
        )
),
recorded_job AS (
    INSERT INTO removed_job (tenant_key, job_key)
    SELECT expired_job.tenant_key, expired_job.job_key
    FROM expired_job
    -- Not EXISTS, for which the planner may hash a whole table.
    WHERE coalesce(
        (
            SELECT true FROM sibling_tasks
            WHERE sibling_tasks.tenant_key = expired_job.tenant_key
                AND sibling_tasks.job_key = expired_job.job_key
            LIMIT 1
        ),
        (
            SELECT true FROM task_block
            WHERE task_block.tenant_key = expired_job.tenant_key AND task_block.job_key = expired_job.job_key
            LIMIT 1
        ),
        (
            SELECT true FROM task_failure
            WHERE task_failure.tenant_key = expired_job.tenant_key
                AND task_failure.job_key = expired_job.job_key
            LIMIT 1
        )
    )
),
deleted_label AS (
    DELETE FROM label USING expired_job
    WHERE label.tenant_key = expired_job.tenant_key AND label.job_key = expired_job.job_key
),
deleted_note AS (
    DELETE FROM job_note USING expired_job
    WHERE job_note.tenant_key = expired_job.tenant_key AND job_note.job_key = expired_job.job_key
),
deleted_prerequisite AS (
    DELETE FROM prerequisite USING expired_job
    WHERE prerequisite.tenant_key = expired_job.tenant_key AND prerequisite.job_key = expired_job.job_key
),
deleted_task_message AS (
    DELETE FROM task_message USING expired_job
    WHERE task_message.tenant_key = expired_job.tenant_key AND task_message.job_key = expired_job.job_key
    RETURNING expired_job.tenant_key, expired_job.job_id, expired_job.status, task_message.sent_time
),
recorded_drop AS (
    INSERT INTO dropped_work (tenant_key, kind, reason, amount, job_id)
    SELECT tenant_key, 'pending_task',
           CASE status WHEN 4 /* Cancelled */ THEN 'cancelled' ELSE 'completed' END,
           count(*), min(job_id)
    FROM deleted_task_message
    WHERE sent_time IS NULL AND status <> 3 /* Failed */
    GROUP BY tenant_key, status
),
deleted_job AS (
    DELETE FROM job USING expired_job
    WHERE job.tenant_key = expired_job.tenant_key AND job.job_key = expired_job.job_key
    RETURNING job.status, job.last_update_time
)
SELECT status, count(*), extract(epoch FROM max(now() - last_update_time))::float8
FROM deleted_job
GROUP BY status
