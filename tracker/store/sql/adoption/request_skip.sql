-- Have the worker of a Kafka partition skip records that cannot be received.
INSERT INTO record_skip (topic, kafka_partition, first_offset, next_offset, reason)
VALUES (%(topic)s, %(kafka_partition)s, %(first_offset)s, %(next_offset)s, %(reason)s)
ON CONFLICT (topic, kafka_partition, first_offset) DO UPDATE
SET next_offset = excluded.next_offset,
    reason = excluded.reason
