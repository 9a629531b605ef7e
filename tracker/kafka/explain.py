"""What an error of librdkafka means for the user of a command: one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException

from tracker.errors import TrackerError
from tracker.kafka.errors import reason_of

_LOGIN = frozenset({KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError.SASL_AUTHENTICATION_FAILED})
# These of librdkafka's own errors say that no broker answers; the others are about the request.
_NO_ANSWER = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._WAIT_COORD,
        KafkaError._IN_PROGRESS,
        KafkaError._WAIT_CACHE,
        KafkaError._MSG_TIMED_OUT,
    }
)


@contextmanager
def kafka_errors(doing: str = "") -> Iterator[None]:
    """Turn errors of Kafka and its client into a `TrackerError` of one sentence, which `doing` may begin."""
    try:
        yield
    except KafkaException as error:
        reason = explain(error.args[0])
        raise TrackerError(f"{doing}: {reason}" if doing else reason) from error


def explain(error: KafkaError) -> str:
    """Return what the error means, as a clause: Kafka does not answer, or refuses, or its client fails."""
    code, reason = error.code(), reason_of(error)
    if code in _LOGIN:
        return f"Kafka does not let the tracker in: {reason}"
    if code in _NO_ANSWER:
        return f"Kafka does not answer: {reason}"
    return f"Kafka refuses: {reason}" if code > 0 else f"the Kafka client fails: {reason}"
