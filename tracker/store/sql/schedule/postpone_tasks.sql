-- Take task messages that cannot be sent out of the outbox, because their topic does not exist or is not allowed. They
-- become eligible again after a while, and the scheduler tries again.
WITH locked_outbox AS (
    SELECT outbox.tenant_key, outbox.job_key, postponed.reason
    FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[], %(reasons)b::text[])
        AS postponed (tenant_key, job_key, reason)
    JOIN outbox
        ON outbox.tenant_key = postponed.tenant_key AND outbox.job_key = postponed.job_key
        AND outbox.held_number = 0
    ORDER BY outbox.tenant_key, outbox.job_key
    FOR UPDATE OF outbox
),
locked_task AS (
    SELECT task_message.tenant_key, task_message.job_key, locked_outbox.reason
    FROM locked_outbox
    JOIN task_message
        ON task_message.tenant_key = locked_outbox.tenant_key AND task_message.job_key = locked_outbox.job_key
    ORDER BY task_message.tenant_key, task_message.job_key
    FOR UPDATE OF task_message
),
postponed_task AS (
    UPDATE task_message
    SET eligible_time = now() + make_interval(secs => %(delay_s)b::integer), sent_time = NULL,
        postponed_time = coalesce(task_message.postponed_time, now()), not_sent_reason = locked_task.reason
    FROM locked_task
    WHERE task_message.tenant_key = locked_task.tenant_key AND task_message.job_key = locked_task.job_key
)
DELETE FROM outbox USING locked_outbox
WHERE outbox.tenant_key = locked_outbox.tenant_key AND outbox.job_key = locked_outbox.job_key
    AND outbox.held_number = 0
