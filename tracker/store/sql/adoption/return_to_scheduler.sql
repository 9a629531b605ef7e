-- Have the scheduler send the pending tasks that a Kafka partition's records below an offset have released, and
-- that may not have been sent: those records are not redelivered. Lock outbox rows first, then pending tasks, as
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
    SELECT pending_task.tenant_key, pending_task.job_key
    FROM locked_outbox
    JOIN pending_task
        ON pending_task.tenant_key = locked_outbox.tenant_key AND pending_task.job_key = locked_outbox.job_key
    ORDER BY pending_task.tenant_key, pending_task.job_key
    FOR UPDATE OF pending_task
),
returned_task AS (
    UPDATE pending_task
    SET eligible_time = now()
    FROM locked_task
    WHERE pending_task.tenant_key = locked_task.tenant_key AND pending_task.job_key = locked_task.job_key
)
DELETE FROM outbox USING locked_outbox
WHERE outbox.tenant_key = locked_outbox.tenant_key AND outbox.job_key = locked_outbox.job_key
    AND outbox.held_number = 0
