"""What names a Kafka partition."""

KafkaPartition = tuple[str, int]
"""The name of a topic and a number. `confluent_kafka.TopicPartition` has an offset too."""
