"""The lag of each Kafka partition: what is in the log and the group has not committed."""

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
    """Asks the broker where the logs of Kafka partitions end, without waiting for the answer."""

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin
        self._answers: dict[TopicPartition, Future[Any]] = {}
        self._known: dict[KafkaPartition, int] = {}

    def poll(self, keys: Collection[KafkaPartition]) -> Mapping[KafkaPartition, int]:
        """Return the ends that were answered so far, and ask again."""
        for topic_partition, answer in self._answers.items():
            if answer.done() and answer.exception() is None:
                self._known[topic_partition.topic, topic_partition.partition] = answer.result().offset
        self._answers = {key: answer for key, answer in self._answers.items() if not answer.done()}
        if not self._answers and keys:
            latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
            wanted = {TopicPartition(topic, number): latest for topic, number in keys}
            self._answers = self._admin.list_offsets(
                wanted, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=_TIMEOUT_S
            )
        return self._known


@dataclass(slots=True)
class _Tracked:
    """What is known of one Kafka partition. Times are in seconds since 1970."""

    start: int  # the committed offset, or the beginning of the log, when the worker began to read
    samples: deque[tuple[int, float]] = field(default_factory=deque)  # offsets and times of some records
    age_s: float = 0.0  # of the last sample when it was polled
    waits_at: int = -1  # the committed offset at the last measurement, if there were records after it
    waits_since: float = 0.0  # when it was measured there for the first time


class Lag:
    """Measures lag from the committed offset. All calls come from one thread.

    The age of the oldest record that is not committed needs that record's timestamp, and to look at every
    record would cost a few per cent of a worker. So after each measurement, the first record of each Kafka
    partition in the next batch is kept until it is committed. While none is kept, the age is the longer of
    two times: the age of the last one when it was polled, and the time for which there has been something to
    commit.
    """

    def __init__(self) -> None:
        self._tracked: dict[KafkaPartition, _Tracked] = {}
        self.wants_sample = True

    def start(self, key: KafkaPartition, offset: int) -> None:
        """Set where reading begins, or begins again: at the committed offset, if there is one."""
        self._tracked[key] = _Tracked(offset)

    def remove(self, key: KafkaPartition) -> None:
        """Drop a Kafka partition: another worker reads it from now on."""
        self._tracked.pop(key, None)

    def sample(self, records: Sequence[Message], keys: Collection[KafkaPartition], now: float) -> None:
        """Keep the first of these records of each of these Kafka partitions."""
        self.wants_sample = False
        missing = set(keys)
        for record in records:
            key, offset = coordinates(record)
            if key in missing:
                missing.discard(key)
                if key in self._tracked:
                    self._keep(self._tracked[key], offset, record.timestamp()[1] / 1000, now)
            if not missing:
                return

    def measure(self, key: KafkaPartition, committed: int, end: int, now: float) -> tuple[int, float]:
        """Return how many records are not committed, and the age of the oldest in seconds.

        `committed`: what this worker knows to be committed; 0 if it has committed nothing yet.
        """
        self.wants_sample = True
        tracked = self._tracked[key]
        committed = max(committed, tracked.start)
        while tracked.samples and tracked.samples[0][0] < committed:
            tracked.samples.popleft()
        if end <= committed:
            tracked.waits_at, tracked.age_s = -1, 0.0
            return 0, 0.0
        if tracked.waits_at != committed:
            tracked.waits_at, tracked.waits_since = committed, now
        age_s = (
            now - tracked.samples[0][1] if tracked.samples else max(tracked.age_s, now - tracked.waits_since)
        )
        return end - committed, max(0.0, age_s)

    @staticmethod
    def _keep(tracked: _Tracked, offset: int, timestamp: float, now: float) -> None:
        written = timestamp if timestamp > 0 else now  # a record may have none
        tracked.samples.append((offset, written))
        tracked.age_s = max(0.0, now - written)
