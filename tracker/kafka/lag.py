"""How far the group is behind in each Kafka partition: what is in the log and not committed."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import IsolationLevel, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tracker.kafka.batch import coordinates
from tracker.kafka_partition import KafkaPartition

_TIMEOUT_S = 5.0


class LogEnds:
    """Asks the broker where Kafka partitions end, without waiting for the answer."""

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin
        self._asked: dict[TopicPartition, Future[Any]] = {}
        self._known: dict[KafkaPartition, int] = {}

    def look(self, keys: Collection[KafkaPartition]) -> Mapping[KafkaPartition, int]:
        """Return the ends that are known from the last look, and ask again."""
        for place, answer in self._asked.items():
            if answer.done() and answer.exception() is None:
                self._known[place.topic, place.partition] = answer.result().offset
        self._asked = {place: answer for place, answer in self._asked.items() if not answer.done()}
        if not self._asked and keys:
            latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
            wanted = {TopicPartition(topic, number): latest for topic, number in keys}
            self._asked = self._admin.list_offsets(
                wanted, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=_TIMEOUT_S
            )
        return self._known


@dataclass(slots=True)
class _Behind:
    """What is known of one Kafka partition. Times are in seconds since 1970."""

    start: int  # committed, or the begin of the log, when the worker began to read
    samples: deque[tuple[int, float]] = field(default_factory=deque)  # offsets and times of some records
    age_s: float = 0.0  # of the last sample when it was polled
    stands_at: int = -1  # the committed offset at the last measurement, where records came after it
    since: float = 0.0  # when that was measured first


class Lag:
    """Measures lag from the committed offset. All calls come from one thread.

    The age of the oldest record that is not committed takes that record's timestamp, and to look at every
    record would cost a few per cent of a worker. So of the batch after each measurement, the first record of
    each Kafka partition is kept until it is committed. While none is known, it is the longer of two times:
    how old the last one was when it was polled, and for how long something has been there to be committed.
    """

    def __init__(self) -> None:
        self._behind: dict[KafkaPartition, _Behind] = {}
        self.wants_sample = True

    def begin(self, key: KafkaPartition, offset: int) -> None:
        """Note where reading begins, or begins again: at the committed offset, where there is one."""
        self._behind[key] = _Behind(offset)

    def forget(self, key: KafkaPartition) -> None:
        """Note that another worker reads a Kafka partition from now on."""
        self._behind.pop(key, None)

    def sample(self, records: Sequence[Message], keys: Collection[KafkaPartition], now: float) -> None:
        """Note the first of these records of each of these Kafka partitions."""
        self.wants_sample = False
        missing = set(keys)
        for record in records:
            key, offset = coordinates(record)
            if key in missing:
                missing.discard(key)
                if key in self._behind:
                    self._note(self._behind[key], offset, record.timestamp()[1] / 1000, now)
            if not missing:
                return

    def measure(self, key: KafkaPartition, committed: int, end: int, now: float) -> tuple[int, float]:
        """Return how many records are not committed, and the age of the oldest in seconds.

        `committed`: what this worker knows to be committed; 0 where it has committed nothing yet.
        """
        self.wants_sample = True
        behind = self._behind[key]
        committed = max(committed, behind.start)
        while behind.samples and behind.samples[0][0] < committed:
            behind.samples.popleft()
        if end <= committed:
            behind.stands_at, behind.age_s = -1, 0.0
            return 0, 0.0
        if behind.stands_at != committed:
            behind.stands_at, behind.since = committed, now
        age_s = now - behind.samples[0][1] if behind.samples else max(behind.age_s, now - behind.since)
        return end - committed, max(0.0, age_s)

    @staticmethod
    def _note(behind: _Behind, offset: int, timestamp: float, now: float) -> None:
        written = timestamp if timestamp > 0 else now  # a record may have none
        behind.samples.append((offset, written))
        behind.age_s = max(0.0, now - written)
