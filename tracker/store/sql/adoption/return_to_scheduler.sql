-- Have the scheduler send the task messages that a Kafka partition's records below an offset have released, and
-- that may not have been sent: those records are not redelivered. Lock outbox rows first, then task messages, as
-- every statement does.
WITH locked_outbox AS (
    SELECT tenant_key, job_key
    FROM outbox
    WHERE source_topic = %(topic)s::text AND source_partition = %(kafka_partition)s::integer
        AND source_offset < %(below)s::bigint
    ORDER BY tenant_key, job_key
    FOR UPDATE
),
locked_task AS (
    SELECT task_message.tenant_key, task_message.job_key
    FROM locked_outbox
    JOIN task_message
        ON task_message.tenant_key = locked_outbox.tenant_key AND task_message.job_key = locked_outbox.job_key
    ORDER BY task_message.tenant_key, task_message.job_key
    FOR UPDATE OF task_message
),
returned_task AS (
    UPDATE task_message
    SET eligible_time = now(), sent_time = NULL
    FROM locked_task
    WHERE task_message.tenant_key = locked_task.tenant_key AND task_message.job_key = locked_task.job_key
)
DELETE FROM outbox USING locked_outbox
WHERE outbox.tenant_key = locked_outbox.tenant_key AND outbox.job_key = locked_outbox.job_key
    AND outbox.held_number = 0
