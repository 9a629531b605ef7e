"""Records that librdkafka cannot return: damaged, packed too tightly, or too large to be received."""

import math
import re
import time
from collections.abc import Mapping
from contextlib import closing
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from tracker.kafka.errors import reason_of
from tracker.kafka.properties import outsider_properties
from tracker.kafka_partition import KafkaPartition
from tracker.logs import kafka_logger
from tracker.settings import Settings

# A consumer gets one of these for a Kafka partition, repeatedly, while that does not move.
_CODES = (
    KafkaError._BAD_COMPRESSION,
    KafkaError._BAD_MSG,
    KafkaError._UNSUPPORTED_FEATURE,
    KafkaError._UNDERFLOW,
    KafkaError._NOT_IMPLEMENTED,
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.INVALID_MSG,
    KafkaError.UNSUPPORTED_COMPRESSION_TYPE,
)
# Above receive.message.max.bytes librdkafka ends the connection, and does not say what it had asked for.
_TOO_LARGE = re.compile(r"Invalid response size \d+")
_TOO_LARGE_COUNTS_S = 5.0
_TRY_TIMEOUT_S = 20.0
_ONE_BY_ONE = 16  # offsets


class Stuck(NamedTuple):
    """The offset that a Kafka partition cannot get past, and why."""

    offset: int
    reason: str


class UnreceivableRecords:
    """What the Kafka partitions of a consumer cannot get past. For the thread that polls.

    `stuck`: the Kafka partitions that do not move. `paused`: those of them that are not fetched, so that
    other Kafka partitions of the same broker are.
    """

    def __init__(self) -> None:
        self.stuck: dict[KafkaPartition, Stuck] = {}
        self.paused: set[KafkaPartition] = set()
        self._reasons: dict[KafkaPartition, str] = {}  # since the last update
        self._too_large_monotonic_s = -math.inf

    def record_error(self, record: Message) -> bool:
        """Remember an error that came in place of a record; return whether it is about a record."""
        error, topic, kafka_partition = record.error(), record.topic(), record.partition()
        if error is None or error.code() not in _CODES or topic is None or kafka_partition is None:
            return False
        self._reasons[topic, kafka_partition] = reason_of(error)
        return True

    def on_error(self, error: KafkaError) -> None:
        """Remember an error that came alone; a client's ``error_cb``."""
        if _TOO_LARGE.search(error.str()):
            self._too_large_monotonic_s = time.monotonic()

    @property
    def is_suspected(self) -> bool:
        """Whether a response was too large lately. Nothing says which Kafka partition it was of."""
        return time.monotonic() - self._too_large_monotonic_s < _TOO_LARGE_COUNTS_S

    def update(self, positions: Mapping[KafkaPartition, int]) -> None:
        """Find what is stuck, from the errors since the last update; what has moved is not."""
        for key, reason in self._reasons.items():
            if key in positions:
                self.stuck[key] = Stuck(positions[key], reason)
        self._reasons.clear()
        for key, stuck in list(self.stuck.items()):
            if positions.get(key) != stuck.offset:
                self.remove(key)

    def remove(self, key: KafkaPartition) -> None:
        """Treat a Kafka partition as one that moves."""
        self.stuck.pop(key, None)
        self.paused.discard(key)

    def clear(self) -> None:
        """Treat all as Kafka partitions that move."""
        self.stuck.clear()
        self.paused.clear()


class Unreceivable(NamedTuple):
    """Offsets from `first_offset` to before `next_offset`, and why they cannot be received."""

    first_offset: int
    next_offset: int
    reason: str


class _Failure(NamedTuple):
    """Why a fetch fails. `batch` is equal for all that is in one batch of records."""

    batch: str
    reason: str


def find_unreceivable(settings: Settings, key: KafkaPartition, offset: int) -> Unreceivable | None:
    """Return how far the records at an offset and after it cannot be received; None: they can.

    Records come in batches, so this is the rest of a batch. No broker says where a batch ends. The end is
    found by trying, in steps that double and then halve. What is not certain counts as received. The first
    offsets are tried one by one: several records that are too large may be of one size, with a sound one
    between them.
    """
    with closing(_Prober(settings, key)) as prober:
        failure = prober.try_at(offset)
        if failure is None:
            return None
        bad, step = offset, 1
        while prober.try_at(bad + step) == failure:
            bad += step
            step = 2 * step if bad >= offset + _ONE_BY_ONE else 1
        good = bad + step
        while good - bad > 1:
            middle = (bad + good) // 2
            if prober.try_at(middle) == failure:
                bad = middle
            else:
                good = middle
        return Unreceivable(offset, good, failure.reason)


def why_unreceivable(settings: Settings, key: KafkaPartition, offset: int) -> str:
    """Return why nothing can be received from an offset on; empty: something can, or nothing is there."""
    with closing(_Prober(settings, key)) as prober:
        failure = prober.try_at(offset)
        return failure.reason if failure is not None else ""


class _Prober:
    """Tries to receive what is at an offset, as a worker would."""

    def __init__(self, settings: Settings, key: KafkaPartition) -> None:
        self._key = key
        self._errors: list[KafkaError] = []
        self._consumer = Consumer(
            {
                **outsider_properties(settings, settings.group_id),
                "enable.partition.eof": "true",
                "auto.offset.reset": "error",
                "isolation.level": "read_uncommitted",
                "error_cb": self._errors.append,
            },
            logger=kafka_logger(),
        )

    def try_at(self, offset: int) -> _Failure | None:
        """Return why nothing can be received from there; None: something can, or nothing is there."""
        self._errors.clear()
        self._consumer.assign([TopicPartition(*self._key, offset)])
        deadline = time.monotonic() + _TRY_TIMEOUT_S
        while time.monotonic() < deadline:
            record = self._consumer.poll(0.1)
            if record is not None and record.topic() is not None:  # otherwise it is the coordinator's error
                error = record.error()
                if error is None or error.code() not in _CODES:
                    return None
                return _Failure(str(record.offset()), reason_of(error))
            for error in self._errors:
                if size := _TOO_LARGE.search(error.str()):
                    return _Failure(size[0], reason_of(error))
        return None

    def close(self) -> None:
        self._consumer.close()
