-- Record that a Kafka partition is applied and published up to an offset, whatever was stored.
INSERT INTO kafka_progress (topic, kafka_partition, next_offset, published_offset, topic_id)
VALUES (%(topic)s, %(kafka_partition)s, %(offset)s, %(offset)s, %(topic_id)s)
ON CONFLICT (topic, kafka_partition) DO UPDATE
SET next_offset = excluded.next_offset,
    published_offset = excluded.published_offset,
    topic_id = excluded.topic_id,
    withheld = '',
    refused = '{}'
