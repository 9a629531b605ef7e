-- Create the progress of Kafka partitions from which the group has read nothing yet.
INSERT INTO kafka_progress (topic, kafka_partition, next_offset, published_offset, topic_id)
SELECT new.topic, new.kafka_partition, new.first_offset, new.first_offset, new.topic_id
FROM unnest(
    %(topics)b::text[], %(kafka_partitions)b::integer[], %(first_offsets)b::bigint[], %(topic_ids)b::text[]
) AS new (topic, kafka_partition, first_offset, topic_id)
ORDER BY new.topic, new.kafka_partition
ON CONFLICT DO NOTHING
