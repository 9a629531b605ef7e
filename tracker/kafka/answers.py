"""What an admin client is answered."""

from concurrent.futures import Future
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

T = TypeVar("T")

_SPARE_S = 5.0  # librdkafka's own time limit comes first, but for a machine that is busy


def answer_of(future: "Future[T]", timeout_s: float) -> T:
    """Return the answer to a request that was made with that time limit.

    :raises KafkaException: there is none, or it is a no.
    """
    try:
        return future.result(timeout=timeout_s + _SPARE_S)
    except TimeoutError:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from None
