"""What names a Kafka partition."""

KafkaPartition = tuple[str, int]
"""The name of a topic and a number. `confluent_kafka.TopicPartition` has an offset too."""


def describe(kafka_partition: KafkaPartition) -> str:
    """Return what messages call a Kafka partition."""
    topic, number = kafka_partition
    return f"Kafka partition {number} of topic {topic!r}"
