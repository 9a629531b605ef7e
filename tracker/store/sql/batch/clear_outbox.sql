-- Delete what is published according to the committed offsets: pending tasks, and their outbox rows. Lock outbox
-- rows first, then pending tasks, both in key order, as every statement does.
WITH published AS (
    SELECT outbox.tenant_key, outbox.job_key, outbox.held_number
    FROM unnest(%(topics)b::text[], %(kafka_partitions)b::integer[], %(committed_offsets)b::bigint[])
        AS committed (topic, kafka_partition, committed_offset)
    JOIN outbox
        ON outbox.source_topic = committed.topic AND outbox.source_partition = committed.kafka_partition
        AND outbox.source_offset < committed.committed_offset
    ORDER BY outbox.tenant_key, outbox.job_key, outbox.held_number
    FOR UPDATE OF outbox
),
locked_task AS (
    SELECT pending_task.tenant_key, pending_task.job_key
    FROM published
    JOIN pending_task
        ON pending_task.tenant_key = published.tenant_key AND pending_task.job_key = published.job_key
    ORDER BY pending_task.tenant_key, pending_task.job_key
    FOR UPDATE OF pending_task
),
removed_task AS (
    DELETE FROM pending_task USING locked_task
    WHERE pending_task.tenant_key = locked_task.tenant_key AND pending_task.job_key = locked_task.job_key
)
DELETE FROM outbox USING published
WHERE outbox.tenant_key = published.tenant_key AND outbox.job_key = published.job_key
    AND outbox.held_number = published.held_number
