"""Whose fault it is that Kafka does not take a message.

Only the first two kinds may cost a record, which becomes a dead letter. What is not in either list is ours:
a clock, a codec, a right, a broker that is away. The record then waits until that is right.
"""

from enum import Enum

from confluent_kafka import KafkaError


class Fault(Enum):
    """Whose it is."""

    MESSAGE = "the message's"
    DESTINATION = "the destination's"
    OURS = "ours"


TOO_LARGE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})

# Brokers say this of a batch, though it may be only one of its messages that is meant. It may also be the
# batch: that shows when each message is sent by itself.
_MESSAGE = frozenset(
    {
        *TOO_LARGE,  # for the topic, its segments, or librdkafka's message.max.bytes
        KafkaError.INVALID_RECORD,  # without a key, where the topic is compacted
        KafkaError.POLICY_VIOLATION,  # of what stands before some brokers, and looks into messages
    }
)
_DESTINATION = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_EXCEPTION,  # a name that the brokers do not like
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,  # a topic of an old format, which has no headers
    }
)
# Not among them: INVALID_MSG, which is said of what has been damaged on its way, and sent again is not.


def fault_of(error: KafkaError) -> Fault:
    """Say whose fault an error on produce is."""
    code = error.code()
    if code in _MESSAGE:
        return Fault.MESSAGE
    return Fault.DESTINATION if code in _DESTINATION else Fault.OURS


def is_about_the_clock(error: KafkaError) -> bool:
    """Whether the broker refuses the time of a message, which is that of this machine."""
    return bool(error.code() == KafkaError.INVALID_TIMESTAMP)
