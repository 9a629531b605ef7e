"""What the broker says of topics."""

from collections.abc import Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

_DEFAULT_MAX_MESSAGE_BYTES = 1_048_588  # the broker's default
_TIMEOUT_S = 10.0


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


def max_message_bytes(admin: AdminClient, topic: str) -> int:
    """Return the largest record batch that a topic takes, in bytes; the default where one may not ask."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    try:
        [answer] = admin.describe_configs([resource], request_timeout=_TIMEOUT_S).values()
        return int(answer.result(timeout=_TIMEOUT_S)["max.message.bytes"].value)
    except (KafkaException, KeyError, ValueError, TimeoutError):
        return _DEFAULT_MAX_MESSAGE_BYTES
