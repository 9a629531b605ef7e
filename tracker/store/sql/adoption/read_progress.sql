-- Return up to which offsets every Kafka partition is applied, and known to be published.
SELECT topic, kafka_partition, next_offset, published_offset, topic_id FROM kafka_progress
