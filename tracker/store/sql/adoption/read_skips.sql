-- Return the records that are to be stepped over, in all Kafka partitions.
SELECT topic, kafka_partition, first_offset, next_offset, reason
FROM record_skip
ORDER BY topic, kafka_partition, first_offset
