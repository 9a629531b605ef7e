-- Lock the progress of a batch's Kafka partitions, in order, and before anything else. Another worker on the same
-- Kafka partitions, a zombie, waits here, and then sees that the records have been applied.
SELECT progress.topic, progress.kafka_partition, progress.next_offset, progress.published_offset,
       progress.topic_id, progress.withheld, progress.refused
FROM kafka_progress AS progress
JOIN unnest(%(topics)b::text[], %(kafka_partitions)b::integer[]) AS wanted (topic, kafka_partition)
    USING (topic, kafka_partition)
ORDER BY progress.topic, progress.kafka_partition
FOR UPDATE OF progress
