"""What a consumer group has committed, for those who are not in it."""

import time
from collections.abc import Iterable
from contextlib import closing

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tracker.kafka.errors import BatchAbandoned
from tracker.kafka.password import RotatedPassword
from tracker.kafka.properties import outsider_properties
from tracker.kafka_partition import KafkaPartition
from tracker.logs import kafka_logger
from tracker.settings import Settings

_CALL_TIMEOUT_S = 10.0
_TRIES = 20
_BETWEEN_TRIES_S = 0.25
# The group's coordinator is moving to another broker, or just starting: the next answer is another one.
_PASSING = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
)


def ask_committed(consumer: Consumer, kafka_partitions: Iterable[KafkaPartition]) -> list[TopicPartition]:
    """Ask for the committed offsets of a consumer's group, of which it is not a member.

    :raises KafkaException: Kafka does not say; or it does not say of one Kafka partition.
    """
    wanted = [TopicPartition(*kafka_partition) for kafka_partition in kafka_partitions]
    for _ in range(_TRIES):
        found, why = _ask_once(consumer, wanted)
        if why is None:
            return found
        if why.code() not in _PASSING:
            break
        time.sleep(_BETWEEN_TRIES_S)
    raise KafkaException(why)


def _ask_once(
    consumer: Consumer, wanted: list[TopicPartition]
) -> tuple[list[TopicPartition], KafkaError | None]:
    try:
        return consumer.committed(wanted, _CALL_TIMEOUT_S), None
    except KafkaException as error:
        # What the group's coordinator has answered, such as that the user may not, is not an answer to this
        # call for librdkafka: it lies with the records.
        answer = consumer.poll(0)
        why = None if answer is None else answer.error()
        return [], why or error.args[0]


class CommittedOffsets:
    """Looks on: never joins the group, and commits nothing.

    With `wait_for_transactions` the broker gives no answer while an offset of the group is in an open
    transaction, which under load is always. What it gives without is committed as well, but may be about to
    be replaced.
    """

    def __init__(self, settings: Settings, group_id: str, *, wait_for_transactions: bool = False) -> None:
        self._password = RotatedPassword(settings, "consumer")
        self._consumer = Consumer(
            {
                **outsider_properties(settings),
                "group.id": group_id,
                "enable.auto.commit": "false",
                "isolation.level": "read_committed" if wait_for_transactions else "read_uncommitted",
            },
            logger=kafka_logger(),
        )

    def read(self, kafka_partitions: Iterable[KafkaPartition]) -> dict[KafkaPartition, int]:
        """Return the committed offsets by (topic, Kafka partition); those where there is none are left out.

        :raises KafkaException: Kafka does not say.
        """
        self._password.look(self._consumer)
        offsets = {}
        for found in ask_committed(self._consumer, kafka_partitions):
            if found.error is not None:
                raise KafkaException(found.error)
            if found.offset >= 0:
                offsets[found.topic, found.partition] = found.offset
        return offsets

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()


def committed_now(settings: Settings, kafka_partition: KafkaPartition) -> int | None:
    """Ask for the workers' offset of a Kafka partition. None: there is none.

    Waits until a transaction has ended that may move it.

    :raises BatchAbandoned: no broker has answered.
    """
    with closing(CommittedOffsets(settings, settings.group_id, wait_for_transactions=True)) as committed:
        try:
            return committed.read([kafka_partition]).get(kafka_partition)
        except KafkaException as error:
            raise BatchAbandoned(error.args[0].str()) from None
