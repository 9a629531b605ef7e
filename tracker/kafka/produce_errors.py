"""Whose fault it is that Kafka does not take a message.

Only with the first two kinds may a record become a dead letter. An error in neither list is ours: a clock, a
codec, a right, a broker that is away. The record then waits until that is fixed.
"""

from enum import Enum

from confluent_kafka import KafkaError


class Fault(Enum):
    """Whose fault it is."""

    MESSAGE = "the message's"
    DESTINATION = "the destination's"
    OURS = "ours"


TOO_LARGE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})

# Brokers report these for a batch, but may mean only one of its messages. They may also mean the batch: that
# shows when each message is sent by itself.
_MESSAGE = frozenset(
    {
        *TOO_LARGE,  # for the topic, its segments, or librdkafka's message.max.bytes
        KafkaError.INVALID_RECORD,  # without a key, where the topic is compacted
        KafkaError.POLICY_VIOLATION,  # a proxy in front of the brokers inspects messages
    }
)
_DESTINATION = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_EXCEPTION,  # a name that the brokers do not allow
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,  # a topic of an old format, which has no headers
    }
)
# INVALID_MSG is in neither list: the message was damaged on its way, and will not be when it is sent again.


def fault_of(error: KafkaError) -> Fault:
    """Return whose fault an error on produce is."""
    code = error.code()
    if code in _MESSAGE:
        return Fault.MESSAGE
    return Fault.DESTINATION if code in _DESTINATION else Fault.OURS


def is_about_the_clock(error: KafkaError) -> bool:
    """Return whether the broker refuses the time of a message, which is this machine's."""
    return bool(error.code() == KafkaError.INVALID_TIMESTAMP)
