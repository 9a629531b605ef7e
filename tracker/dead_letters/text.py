"""Reads the words in which people name dead letters."""

from tracker.errors import InvalidQuery
from tracker.kafka_partition import RecordName, read_record_name
from tracker.messages.refusal import Reason


def read_reason(text: str) -> str:
    """Return the reason with this name.

    :raises InvalidQuery: there is no such reason.
    """
    if text not in set(Reason):
        raise InvalidQuery(f"{text!r} is not a reason: {', '.join(Reason)}")
    return text


def read_record(text: str) -> RecordName:
    """Read ``topic:kafkaPartition:offset``.

    :raises InvalidQuery: it is malformed.
    """
    name = read_record_name(text)
    if name is None:
        raise InvalidQuery(f"{text[:300]!r} is not TOPIC:PARTITION:OFFSET, such as tracker-dead-letter:0:17")
    return name
