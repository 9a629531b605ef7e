"""What the broker says of topics."""

from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

_DEFAULT_MAX_MESSAGE_BYTES = 1_048_588  # the broker's default
_TIMEOUT_S = 10.0
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


def max_message_bytes(admin: AdminClient, topic: str) -> int:
    """Return the largest record batch that a topic takes, in bytes; the default where one may not ask."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    try:
        [answer] = admin.describe_configs([resource], request_timeout=_TIMEOUT_S).values()
        return int(answer.result(timeout=_TIMEOUT_S)["max.message.bytes"].value)
    except (KafkaException, KeyError, ValueError, TimeoutError):
        return _DEFAULT_MAX_MESSAGE_BYTES
