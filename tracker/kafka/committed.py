"""What a consumer group has committed, for clients that are not members."""

import time
from collections.abc import Iterable
from contextlib import closing
from typing import NamedTuple

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
# The group's coordinator is moving to another broker, or is just starting: a later answer differs.
_TRANSIENT = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
)


def ask_committed(consumer: Consumer, kafka_partitions: Iterable[KafkaPartition]) -> list[TopicPartition]:
    """Ask for the committed offsets of a consumer's group, of which it is not a member.

    :raises KafkaException: no broker has answered, or Kafka does not say the offset of one of them.
    """
    wanted = [TopicPartition(*kafka_partition) for kafka_partition in kafka_partitions]
    for _ in range(_TRIES):
        found, error = _ask_once(consumer, wanted)
        if error is None:
            return found
        if error.code() not in _TRANSIENT:
            break
        time.sleep(_BETWEEN_TRIES_S)
    raise KafkaException(error)


def _ask_once(
    consumer: Consumer, wanted: list[TopicPartition]
) -> tuple[list[TopicPartition], KafkaError | None]:
    try:
        return consumer.committed(wanted, _CALL_TIMEOUT_S), None
    except KafkaException as error:
        # librdkafka does not return the coordinator's errors, such as a missing right, from this call: they
        # come in place of records.
        record = consumer.poll(0)
        coordinators = None if record is None else record.error()
        return [], coordinators or error.args[0]


class CommittedOffset(NamedTuple):
    """What a group has committed for a Kafka partition."""

    offset: int
    metadata: str


def group_reader(settings: Settings, group_id: str, *, wait_for_transactions: bool) -> Consumer:
    """Make a consumer that reads a group's committed offsets. It never joins the group.

    With `wait_for_transactions` the broker gives no answer while an offset of the group is in an open
    transaction, which under load is always the case. Without it, the answer is committed as well, but may be
    about to be replaced.
    """
    properties = {
        **outsider_properties(settings, group_id),
        "isolation.level": "read_committed" if wait_for_transactions else "read_uncommitted",
    }
    return Consumer(properties, logger=kafka_logger())


def read_committed_offsets(
    consumer: Consumer, kafka_partitions: Iterable[KafkaPartition]
) -> dict[KafkaPartition, CommittedOffset]:
    """Return what is committed, without Kafka partitions that have no offset.

    :raises KafkaException: as `ask_committed`.
    """
    found = {}
    for each in ask_committed(consumer, kafka_partitions):
        if each.error is not None:
            raise KafkaException(each.error)
        if each.offset >= 0:
            found[each.topic, each.partition] = CommittedOffset(each.offset, each.metadata or "")
    return found


class CommittedOffsets:
    """Reads a group's committed offsets, with a password that may change; see `group_reader`."""

    def __init__(self, settings: Settings, group_id: str, *, wait_for_transactions: bool = False) -> None:
        self._password = RotatedPassword(settings, "consumer")
        self._consumer = group_reader(settings, group_id, wait_for_transactions=wait_for_transactions)

    def read(self, kafka_partitions: Iterable[KafkaPartition]) -> dict[KafkaPartition, int]:
        """Return the committed offsets, without Kafka partitions that have none.

        :raises KafkaException: no broker has answered.
        """
        self._password.update(self._consumer)
        committed = read_committed_offsets(self._consumer, kafka_partitions)
        return {key: each.offset for key, each in committed.items()}

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()


def committed_now(settings: Settings, kafka_partition: KafkaPartition) -> int | None:
    """Return the workers' committed offset of a Kafka partition; None: there is none.

    It waits until a transaction has ended that may move the offset.

    :raises BatchAbandoned: no broker has answered.
    """
    with closing(CommittedOffsets(settings, settings.group_id, wait_for_transactions=True)) as committed:
        try:
            return committed.read([kafka_partition]).get(kafka_partition)
        except KafkaException as error:
            raise BatchAbandoned(error.args[0].str()) from None
