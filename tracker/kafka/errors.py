"""Errors of Kafka that decide what a worker does next."""

import re
from collections.abc import Mapping

from confluent_kafka import KafkaError

from tracker.errors import TrackerError

# A thread, and a duration; the brackets may have brackets in them: "30 identical error(s) suppressed".
_VARYING = re.compile(r"^\[thrd:[^]]*\]: |\s*\(after \d+ms in state (?:[^()]|\([^()]*\))*\)")


class OffsetsRefused(TrackerError):
    """The group's committed offsets and the database do not belong together."""


class SlotShared(TrackerError):
    """Another process uses this worker's transactional or member ID."""


class ConsumerLost(TrackerError):
    """The consumer will never return a record again; a new process will."""


class BatchAbandoned(Exception):
    """The batch was not published, and is redelivered: its Kafka transaction was aborted, or never begun."""


class ClockRefused(BatchAbandoned):
    """The batch was not published, because Kafka refuses its messages' time, which is this machine's."""


class DestinationNotKnown(Exception):
    """A broker must be asked about destinations first, and not while a database transaction is open."""

    def __init__(self, *topics: str) -> None:
        super().__init__(*topics)
        self.topics = topics


class MessagesRefused(BatchAbandoned):
    """The batch was not published, because Kafka refuses some of its messages, each because of its content.

    `errors`: by position among all messages that were to be published, records first.
    """

    def __init__(self, errors: Mapping[int, KafkaError]) -> None:
        super().__init__(f"{len(errors)} messages are refused")
        self.errors = errors


def reason_of(error: KafkaError) -> str:
    """Return the text of an error, without thread names, times and counts, which vary."""
    text = _VARYING.sub("", error.str().strip().partition("\n")[0]).rstrip(".") or error.name()
    if error.code() == KafkaError.CONCURRENT_TRANSACTIONS:
        return (
            "an earlier transaction of this process has not ended yet, which needs the leaders of all topics"
            f" that it wrote to: {text}"
        )
    return text
