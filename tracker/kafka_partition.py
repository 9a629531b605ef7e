"""What names a Kafka partition, and a record in it."""

import re
from typing import NamedTuple

KafkaPartition = tuple[str, int]
"""The name of a topic and a number. `confluent_kafka.TopicPartition` has an offset too."""


def describe(kafka_partition: KafkaPartition) -> str:
    """Return what messages call a Kafka partition."""
    topic, number = kafka_partition
    return f"Kafka partition {number} of topic {topic!r}"


class RecordName(NamedTuple):
    """The name of a record; ``str()`` gives ``topic:kafkaPartition:offset``."""

    topic: str
    kafka_partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.kafka_partition}:{self.offset}"


_RECORD = re.compile(r"([A-Za-z0-9._-]{1,249}):([0-9]{1,9}):([0-9]{1,18})")


def read_record_name(text: str) -> RecordName | None:
    """Read ``topic:kafkaPartition:offset``; None: it is malformed."""
    match = _RECORD.fullmatch(text)
    return None if match is None else RecordName(match[1], int(match[2]), int(match[3]))
