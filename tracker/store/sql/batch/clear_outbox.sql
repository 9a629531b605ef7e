-- Delete the outbox rows that are published according to the committed offsets, in key order. The task messages stay,
-- because a job that fails can be retried.
WITH published AS (
    SELECT outbox.tenant_key, outbox.job_key, outbox.held_number
    FROM unnest(%(topics)b::text[], %(kafka_partitions)b::integer[], %(committed_offsets)b::bigint[])
        AS committed (topic, kafka_partition, committed_offset)
    JOIN outbox
        ON outbox.source_topic = committed.topic AND outbox.source_partition = committed.kafka_partition
        AND outbox.source_offset < committed.committed_offset
    ORDER BY outbox.tenant_key, outbox.job_key, outbox.held_number
    FOR UPDATE OF outbox
)
DELETE FROM outbox USING published
WHERE outbox.tenant_key = published.tenant_key AND outbox.job_key = published.job_key
    AND outbox.held_number = published.held_number
