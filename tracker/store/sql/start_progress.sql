-- Begin to keep the progress of Kafka partitions that the group has read nothing of yet.
INSERT INTO kafka_progress (topic, kafka_partition, next_offset, published_offset)
SELECT new.topic, new.kafka_partition, new.first_offset, new.first_offset
FROM unnest(%(topics)b::text[], %(kafka_partitions)b::integer[], %(first_offsets)b::bigint[])
    AS new (topic, kafka_partition, first_offset)
ORDER BY new.topic, new.kafka_partition
ON CONFLICT DO NOTHING
