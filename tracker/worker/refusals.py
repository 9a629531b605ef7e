"""What Kafka refused of a batch, until the batch comes again."""

from collections.abc import Iterable

from confluent_kafka import Message

from tracker.kafka.batch import TopicPartition, coordinates
from tracker.messages.refusal import Refusal


class Refusals:
    """What Kafka refused, each for what it is, when its batch was to be published; so it was given up.

    One thread adds to it, and another looks when the batch comes again.
    """

    def __init__(self) -> None:
        self.records: dict[tuple[TopicPartition, int], Refusal] = {}  # by Kafka partition and offset
        self.starts: dict[tuple[int, int], Refusal] = {}  # by the keys of tenant and job

    def forget(self, dead_letters: Iterable[tuple[Message, Refusal]]) -> None:
        """Forget the records of these dead letters, which are published."""
        for record, _ in dead_letters if self.records else ():
            self.records.pop(coordinates(record), None)
