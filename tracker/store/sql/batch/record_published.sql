-- Record that Kafka partitions are published up to where they are applied, unless more has been applied since then.
-- Lock in the same order as lock_progress.
WITH published_progress AS (
    SELECT progress.topic, progress.kafka_partition
    FROM kafka_progress AS progress
    JOIN unnest(%(topics)b::text[], %(kafka_partitions)b::integer[], %(published_offsets)b::bigint[])
        AS published (topic, kafka_partition, published_offset)
        ON published.topic = progress.topic AND published.kafka_partition = progress.kafka_partition
        AND published.published_offset = progress.next_offset
    WHERE progress.published_offset < progress.next_offset
    ORDER BY progress.topic, progress.kafka_partition
    FOR UPDATE OF progress
)
UPDATE kafka_progress AS progress
SET published_offset = progress.next_offset, withheld = '', refused = '{}'
FROM published_progress
WHERE progress.topic = published_progress.topic AND progress.kafka_partition = published_progress.kafka_partition
