"""What the broker says of topics."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from enum import Enum
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient, ConfigResource, ResourceType, TopicDescription

from tracker.agreement import REMEDY
from tracker.kafka.answers import answer_of
from tracker.kafka.errors import OffsetsRefused

_DEFAULT_MAX_MESSAGE_BYTES = 1_048_588  # the broker's default
_TIMEOUT_S = 5.0
_WATCH_S = 3.0
_NOT_THERE = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError.TOPIC_EXCEPTION)
_SAYS_NO = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNKNOWN_TOPIC_OR_PART)


class Access(Enum):
    """Whether a topic can be used for what it is wanted for."""

    GIVEN = "given"
    NO_TOPIC = "no topic"
    NO_RIGHT = "no right"


def access(
    admin: AdminClient, wanted: Mapping[str, AclOperation], timeout_s: float = _TIMEOUT_S
) -> dict[str, Access]:
    """Ask the broker whether topics are there, and whether this client may do what is wanted with each.

    It never makes one. The look for a topic's metadata does, where brokers make topics by themselves.

    :raises KafkaException: no broker has answered.
    """
    answers = admin.describe_topics(
        TopicCollection(list(wanted)), include_authorized_operations=True, request_timeout=timeout_s
    )
    return {topic: _access(answer, wanted[topic]) for topic, answer in answers.items()}


def _access(answer: Future[TopicDescription], operation: AclOperation) -> Access:
    try:
        allowed: Sequence[Enum] | None = answer.result().authorized_operations
    except KafkaException as error:
        code = error.args[0].code()
        if code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            return Access.NO_RIGHT
        if code in _NOT_THERE:
            return Access.NO_TOPIC
        raise
    # Older brokers do not say what one may do; then it shows when it is done.
    return Access.GIVEN if allowed is None or operation in allowed else Access.NO_RIGHT


def topic_ids(admin: AdminClient, topics: Sequence[str]) -> dict[str, str]:
    """Return the IDs of topics; one whose ID the broker does not tell is left out.

    :raises KafkaException: no broker has answered.
    """
    found = {}
    answers = admin.describe_topics(TopicCollection(list(topics)), request_timeout=_TIMEOUT_S)
    for topic, answer in answers.items():
        try:
            found[topic] = str(answer_of(answer, _TIMEOUT_S).topic_id)
        except KafkaException as error:
            if error.args[0].code() not in _SAYS_NO:
                raise
    return found


def count_kafka_partitions(admin: AdminClient, topics: Sequence[str]) -> int:
    """Return how many Kafka partitions the topics have together.

    :raises KafkaException: a broker does not say.
    """
    answers = admin.describe_topics(TopicCollection(list(topics)), request_timeout=_TIMEOUT_S)
    return sum(len(answer_of(answer, _TIMEOUT_S).partitions) for answer in answers.values())


def idle_workers(kafka_partitions: int, workers: int) -> str:
    """Return in words that some workers of one `tracker run` can have nothing to read; '' if all can."""
    if kafka_partitions >= workers:
        return ""
    return (
        f"the tracking topics have fewer Kafka partitions ({kafka_partitions}) than TRACKER_WORKERS"
        f" ({workers}), and each is read by one worker, so the others have nothing to do: add Kafka"
        " partitions, a few for each worker, or set TRACKER_WORKERS to what there are"
    )


class TopicWatch:
    """Notices that a topic is deleted and made anew while it is read.

    The consumer does not: it goes on in the new topic at the offset to which it had come in the old one.
    """

    def __init__(self, admin: AdminClient, topics: Sequence[str]) -> None:
        self._admin = admin
        self._topics = TopicCollection(list(topics))
        self._ids: dict[str, str] = {}
        self._asked: dict[str, Future[Any]] = {}
        self._next_monotonic_s = 0.0

    def look(self) -> None:
        """Ask the broker every few seconds, without waiting for the answer, and take the last one.

        :raises OffsetsRefused: a topic is not the one that it was.
        """
        for topic, answer in self._asked.items():
            if answer.done() and answer.exception() is None:
                found = str(answer.result().topic_id)
                if self._ids.setdefault(topic, found) != found:
                    raise OffsetsRefused(
                        f"topic {topic!r} was deleted and made anew while it was read; {REMEDY}"
                    )
        self._asked = {topic: answer for topic, answer in self._asked.items() if not answer.done()}
        if not self._asked and time.monotonic() >= self._next_monotonic_s:
            self._next_monotonic_s = time.monotonic() + _WATCH_S
            self._asked = self._admin.describe_topics(self._topics, request_timeout=_TIMEOUT_S)


def max_message_bytes(admin: AdminClient, topic: str) -> int:
    """Return the largest record batch that a topic takes, in bytes; the default where one may not ask."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    try:
        [answer] = admin.describe_configs([resource], request_timeout=_TIMEOUT_S).values()
        return int(answer_of(answer, _TIMEOUT_S)["max.message.bytes"].value)
    except (KafkaException, KeyError, ValueError):
        return _DEFAULT_MAX_MESSAGE_BYTES
