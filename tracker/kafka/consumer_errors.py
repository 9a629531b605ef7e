"""What the errors mean that a consumer gets in place of records."""

import math
import time

from confluent_kafka import KafkaError, Message

from tracker.agreement import REMEDY
from tracker.kafka.broker_limits import NO_LIMITS, explain_to_consumer
from tracker.kafka.errors import ConsumerLost, OffsetsRefused, SlotShared
from tracker.kafka.unreceivable import UnreceivableRecords
from tracker.logs import get_logger
from tracker.settings import Settings

_DENIALS = (
    KafkaError.INVALID_SESSION_TIMEOUT,
    KafkaError.GROUP_MAX_SIZE_REACHED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError._AUTHENTICATION,
)
_DENIAL_COUNTS_S = 6.0  # librdkafka tries again, and is refused, every 2 to 3 s
_FENCED = (KafkaError.FENCED_INSTANCE_ID, KafkaError._FENCED)

log = get_logger()


class ConsumerErrors:
    """Decides what an error means for the worker. For the thread that polls.

    `limits`: what the brokers allow, for sentences that say what to set.
    """

    def __init__(self, settings: Settings, unreceivable: UnreceivableRecords) -> None:
        self.limits = NO_LIMITS
        self._settings = settings
        self._unreceivable = unreceivable
        self._last_denial = (-math.inf, "")

    def denial(self) -> str:
        """Return what Kafka has not allowed the tracker in the last seconds; empty: nothing."""
        when, reason = self._last_denial
        return reason if time.monotonic() - when < _DENIAL_COUNTS_S else ""

    def handle(self, record: Message) -> None:
        """Log or record the error of a record, or raise; do nothing for a record without an error.

        :raises OffsetsRefused: the log no longer has the committed offset.
        :raises SlotShared: another process has this member's ID.
        :raises ConsumerLost: the consumer will never return a record again.
        """
        error = record.error()
        if error is None or self._unreceivable.record_error(record):
            return
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise OffsetsRefused(
                f"the group {self._settings.group_id!r} has a committed offset that its topic does not have"
                f" (any more): {error.str()}; {REMEDY}"
            )
        if error.code() in _FENCED:
            raise SlotShared(f"another process has this worker's member ID: {error.str()}")
        reason = explain_to_consumer(self._settings, self.limits, error)
        if error.fatal() or error.code() == KafkaError._FATAL:
            # Mostly fenced by itself: brokers that were away can take a member's own join for another
            # member's.
            raise ConsumerLost(reason)
        if error.code() in _DENIALS:
            self._last_denial = time.monotonic(), reason
        log.warning("Kafka reports an error to the consumer", error=reason, code=error.name())
