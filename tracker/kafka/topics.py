"""What the brokers say of topics."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from enum import Enum
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient, ResourceType, TopicDescription

from tracker.kafka.answers import answer_of, config_of
from tracker.logs import kafka_logger
from tracker.settings import Settings

_DEFAULT_MAX_MESSAGE_BYTES = 1_048_588  # the broker's default
_TIMEOUT_S = 5.0
_NOT_THERE = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError.TOPIC_EXCEPTION)
ABOUT_A_TOPIC = (*_NOT_THERE, KafkaError.TOPIC_AUTHORIZATION_FAILED)
"""Errors about a topic; other errors are about the broker itself."""
_UNAVAILABLE = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNKNOWN_TOPIC_OR_PART)


class Access(Enum):
    """Whether a topic can be read or written, as wanted."""

    GIVEN = "given"
    NO_TOPIC = "no topic"
    NO_RIGHT = "no right"


def admin_client(settings: Settings, on_error: Callable[[KafkaError], None] | None = None) -> AdminClient:
    """Make an admin client for a process that runs for a long time.

    librdkafka sends each request to the broker that the last metadata called the controller. By default it
    refreshes metadata every 5 minutes. If that broker has gone, one of three, no request is answered until
    then, and librdkafka (2.16) tries to reach it as fast as it can, with two thirds of a CPU.
    """
    properties: dict[str, Any] = {
        "topic.metadata.refresh.interval.ms": "2000",
        **settings.kafka_client_properties(),
    }
    if on_error is not None:
        properties["error_cb"] = on_error
    return AdminClient(properties, logger=kafka_logger())


def own_topics(settings: Settings) -> dict[str, AclOperation]:
    """Return the tracker's own topics, with what it does with each."""
    wanted = dict.fromkeys(settings.topics, AclOperation.READ)
    wanted[settings.dead_letter_topic] = AclOperation.WRITE
    return wanted


def access(
    admin: AdminClient, wanted: Mapping[str, AclOperation], timeout_s: float = _TIMEOUT_S
) -> dict[str, Access]:
    """Ask a broker whether topics exist, and whether this client may do what is wanted with each.

    This never creates a topic. A request for a topic's metadata does, if brokers create topics by themselves.

    :raises KafkaException: no broker has answered.
    """
    answers = admin.describe_topics(
        TopicCollection(list(wanted)), include_authorized_operations=True, request_timeout=timeout_s
    )
    return {topic: _access(answer, wanted[topic]) for topic, answer in answers.items()}


def write_access(admin: AdminClient, topic: str) -> Access:
    """Ask a broker whether a topic exists, and whether this client may write to it.

    :raises KafkaException: no broker has answered.
    """
    return access(admin, {topic: AclOperation.WRITE})[topic]


def _access(answer: Future[TopicDescription], operation: AclOperation) -> Access:
    try:
        return access_of(answer.result(), None, operation)
    except KafkaException as error:
        if error.args[0].code() not in ABOUT_A_TOPIC:
            raise
        return access_of(None, error.args[0], operation)


def access_of(found: TopicDescription | None, error: KafkaError | None, operation: AclOperation) -> Access:
    """Return what a broker's answer about a topic means; `error` is one about the topic."""
    if found is None:
        is_denied = error is not None and error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        return Access.NO_RIGHT if is_denied else Access.NO_TOPIC
    allowed: Sequence[Enum] | None = found.authorized_operations
    # Older brokers do not say which operations are allowed; a missing right then shows at the operation.
    return Access.GIVEN if allowed is None or operation in allowed else Access.NO_RIGHT


def topic_ids(admin: AdminClient, topics: Sequence[str]) -> dict[str, str]:
    """Return the IDs of topics, without those whose ID the broker does not know or may not say.

    :raises KafkaException: no broker has answered.
    """
    found = {}
    answers = admin.describe_topics(TopicCollection(list(topics)), request_timeout=_TIMEOUT_S)
    for topic, answer in answers.items():
        try:
            found[topic] = str(answer_of(answer, _TIMEOUT_S).topic_id)
        except KafkaException as error:
            if error.args[0].code() not in _UNAVAILABLE:
                raise
    return found


def count_kafka_partitions(admin: AdminClient, topics: Sequence[str]) -> int:
    """Return how many Kafka partitions the topics have together.

    :raises KafkaException: a broker does not say.
    """
    answers = admin.describe_topics(TopicCollection(list(topics)), request_timeout=_TIMEOUT_S)
    return sum(len(answer_of(answer, _TIMEOUT_S).partitions) for answer in answers.values())


def idle_workers(kafka_partitions: int, workers: int) -> str:
    """Return a sentence if some workers of one `tracker run` have nothing to read, otherwise ''."""
    if kafka_partitions >= workers:
        return ""
    return (
        f"the tracking topics have fewer Kafka partitions ({kafka_partitions}) than TRACKER_WORKERS"
        f" ({workers}), and each is read by one worker, so the others have nothing to do: add Kafka"
        " partitions, a few for each worker, or set TRACKER_WORKERS to what there are"
    )


class TopicLimits(NamedTuple):
    """What a topic takes: record batches of so many bytes; if it is compacted, no record without a key."""

    max_message_bytes: int = _DEFAULT_MAX_MESSAGE_BYTES
    is_compacted: bool = False


def topic_limits(admin: AdminClient, topic: str) -> TopicLimits:
    """Return what a topic takes; the brokers' defaults if the user may not ask, or no broker answers."""
    found = config_of(admin, ResourceType.TOPIC, topic)
    policies = found.get("cleanup.policy", "").split(",")
    size_bytes = int(found.get("max.message.bytes", _DEFAULT_MAX_MESSAGE_BYTES))
    return TopicLimits(size_bytes, "compact" in policies)
