"""What the broker says of topics."""

import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from tracker.agreement import REMEDY
from tracker.kafka.errors import OffsetsRefused

_DEFAULT_MAX_MESSAGE_BYTES = 1_048_588  # the broker's default
_TIMEOUT_S = 10.0
_WATCH_S = 3.0
_SAYS_NO = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNKNOWN_TOPIC_OR_PART)


def missing_topics(admin: AdminClient, topics: Sequence[str]) -> list[str]:
    """Return those of `topics` that do not exist, or may not be seen.

    :raises KafkaException: no broker has answered.
    """
    return [
        topic
        for topic in topics
        if (found := admin.list_topics(topic, timeout=_TIMEOUT_S).topics.get(topic)) is None
        or found.error is not None
    ]


def topic_ids(admin: AdminClient, topics: Sequence[str]) -> dict[str, str]:
    """Return the IDs of topics; one whose ID the broker does not tell is left out.

    :raises KafkaException: no broker has answered.
    """
    found = {}
    answers = admin.describe_topics(TopicCollection(list(topics)), request_timeout=_TIMEOUT_S)
    for topic, answer in answers.items():
        try:
            found[topic] = str(answer.result(timeout=_TIMEOUT_S).topic_id)
        except KafkaException as error:
            if error.args[0].code() not in _SAYS_NO:
                raise
    return found


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
        return int(answer.result(timeout=_TIMEOUT_S)["max.message.bytes"].value)
    except (KafkaException, KeyError, ValueError, TimeoutError):
        return _DEFAULT_MAX_MESSAGE_BYTES
