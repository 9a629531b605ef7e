"""Waits for what brokers answer an admin client."""

from concurrent.futures import Future
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

T = TypeVar("T")

_TIMEOUT_S = 5.0
_SPARE_S = 5.0  # librdkafka's own time limit comes first, except on a busy machine


def answer_of(future: "Future[T]", timeout_s: float) -> T:
    """Return the answer to a request that was made with this time limit.

    :raises KafkaException: no answer came, or the broker refused.
    """
    try:
        return future.result(timeout=timeout_s + _SPARE_S)
    except TimeoutError:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from None


def config_of(admin: AdminClient, kind: ResourceType, name: str) -> dict[str, str]:
    """Return the settings of a broker or topic that have a value; nothing if the user may not ask."""
    try:
        [answer] = admin.describe_configs([ConfigResource(kind, name)], request_timeout=_TIMEOUT_S).values()
        found = answer_of(answer, _TIMEOUT_S)
    except KafkaException:
        return {}
    return {key: entry.value for key, entry in found.items() if entry.value}
