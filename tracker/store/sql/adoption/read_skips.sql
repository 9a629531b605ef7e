-- Return the records that are to be skipped, in all Kafka partitions.
SELECT topic, kafka_partition, first_offset, next_offset, reason
FROM record_skip
ORDER BY topic, kafka_partition, first_offset
