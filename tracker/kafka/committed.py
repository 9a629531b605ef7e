"""What a consumer group has committed, for those who are not in it."""

from collections.abc import Iterable
from contextlib import closing

from confluent_kafka import Consumer, KafkaException, TopicPartition

from tracker.kafka.errors import BatchGivenUp
from tracker.kafka.password import RotatedPassword
from tracker.kafka.properties import outsider_properties
from tracker.logs import kafka_logger
from tracker.settings import Settings

_CALL_TIMEOUT_S = 10.0


def ask_committed(consumer: Consumer, places: Iterable[tuple[str, int]]) -> list[TopicPartition]:
    """Ask for the committed offsets of a consumer's group, of which it is not a member.

    :raises KafkaException: Kafka does not say; the error may also be that of one place, in the answer.
    """
    try:
        return consumer.committed([TopicPartition(*place) for place in places], _CALL_TIMEOUT_S)
    except KafkaException as error:
        # What the group's coordinator has answered, such as that the user may not, is not an answer to this
        # call for librdkafka: it lies with the records.
        answer = consumer.poll(0)
        why = None if answer is None else answer.error()
        raise KafkaException(why or error.args[0]) from None


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

    def read(self, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Return the committed offsets by (topic, Kafka partition); those where there is none are left out.

        :raises KafkaException: Kafka does not say.
        """
        self._password.look(self._consumer)
        offsets = {}
        for found in ask_committed(self._consumer, places):
            if found.error is not None:
                raise KafkaException(found.error)
            if found.offset >= 0:
                offsets[found.topic, found.partition] = found.offset
        return offsets

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()


def committed_now(settings: Settings, place: tuple[str, int]) -> int | None:
    """Ask for the workers' offset of a Kafka partition. None: there is none.

    Waits until a transaction has ended that may move it.

    :raises BatchGivenUp: no broker has answered.
    """
    with closing(CommittedOffsets(settings, settings.group_id, wait_for_transactions=True)) as committed:
        try:
            return committed.read([place]).get(place)
        except KafkaException as error:
            raise BatchGivenUp(error.args[0].str()) from None
