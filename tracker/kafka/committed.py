"""What a consumer group has committed, for those who are not in it."""

from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaException, TopicPartition

from tracker.logs import kafka_logger
from tracker.settings import Settings

_CALL_TIMEOUT_S = 10.0


class CommittedOffsets:
    """Looks on: never joins the group, and commits nothing."""

    def __init__(self, settings: Settings, group_id: str) -> None:
        self._consumer = Consumer(
            {
                **settings.consumer_properties(),
                "group.id": group_id,
                "enable.auto.commit": "false",
                # Not read_committed, with which the broker gives no answer while an offset of the group is in
                # an open transaction, which under load is always. What it gives is committed either way.
                "isolation.level": "read_uncommitted",
            },
            logger=kafka_logger(),
        )

    def read(self, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Return the committed offsets by (topic, Kafka partition); those where there is none are left out.

        :raises KafkaException: Kafka does not say.
        """
        offsets = {}
        for found in self._consumer.committed([TopicPartition(*place) for place in places], _CALL_TIMEOUT_S):
            if found.error is not None:
                raise KafkaException(found.error)
            if found.offset >= 0:
                offsets[found.topic, found.partition] = found.offset
        return offsets

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()
