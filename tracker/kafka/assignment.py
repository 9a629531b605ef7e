"""The Kafka partitions that a worker is assigned: where it starts, how far its batches go, and its lag."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from tracker.kafka.batch import AssignedOffset, OffsetRange
from tracker.kafka.lag import Lag
from tracker.kafka_partition import KafkaPartition
from tracker.metrics import LAG, LAG_SECONDS, Recorder

_CALL_TIMEOUT_S = 10.0


class StartOffset(NamedTuple):
    """Where a worker starts to read a Kafka partition, and what Kafka said of it."""

    offset: int  # negative: the beginning of the log, whose offset is not known
    assigned: AssignedOffset


def read_start_offsets(
    consumer: Consumer, keys: Sequence[KafkaPartition], topic_ids: Callable[[list[str]], dict[str, str]]
) -> dict[KafkaPartition, StartOffset]:
    """Return where to start in Kafka partitions: at the committed offset, or at the beginning of the log.

    `committed` waits until an open transaction of a predecessor has ended (read_committed).

    :raises KafkaException: no broker has answered.
    """
    ids = topic_ids(sorted({topic for topic, _ in keys}))
    starts = {}
    for committed in consumer.committed(topic_partitions(keys), timeout=_CALL_TIMEOUT_S):
        if committed.error is not None:
            raise KafkaException(committed.error)
        key = committed.topic, committed.partition
        offset: int | None = committed.offset if committed.offset >= 0 else None
        start = offset
        if start is None:
            start, _ = consumer.get_watermark_offsets(
                TopicPartition(*key), timeout=_CALL_TIMEOUT_S, cached=False
            )
        assigned = AssignedOffset(offset, committed.metadata or "", ids.get(committed.topic, ""))
        starts[key] = StartOffset(start, assigned)
    return starts


class Assignment:
    """The assigned Kafka partitions. For the thread that polls; any thread may ask how many there are.

    `positions`: how far the batches of each go. `assigned_offsets`: see `Batch.assigned_offsets`; those that
    no batch has carried yet.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.positions: dict[KafkaPartition, int] = {}
        self.assigned_offsets: dict[KafkaPartition, AssignedOffset] = {}
        self._lag = Lag()
        self._recorder = recorder

    def __len__(self) -> int:
        return len(self.positions)

    def start(self, starts: Mapping[KafkaPartition, StartOffset]) -> None:
        """Begin at these offsets, or begin there again."""
        for key, (offset, assigned) in starts.items():
            self.assigned_offsets[key] = assigned
            self.positions[key] = offset
            self._lag.start(key, offset)

    def remove(self, key: KafkaPartition) -> None:
        """Drop a Kafka partition that is no longer assigned."""
        self.positions.pop(key, None)
        self.assigned_offsets.pop(key, None)
        self._lag.remove(key)
        for metric in (LAG, LAG_SECONDS):
            self._recorder.remove(metric, topic=key[0], kafka_partition=str(key[1]))

    def advance(self, positions: Iterable[TopicPartition]) -> dict[KafkaPartition, OffsetRange]:
        """Move to the consumer's positions; return the offsets passed, for those that have moved."""
        ranges = {}
        for position in positions:
            key = position.topic, position.partition
            if position.offset > self.positions[key]:
                ranges[key] = self.advance_to(key, position.offset)
        return ranges

    def advance_to(self, key: KafkaPartition, next_offset: int) -> OffsetRange:
        """Move one Kafka partition; return the offsets passed."""
        offsets = OffsetRange(self.positions[key], next_offset)
        self.positions[key] = next_offset
        return offsets

    def pop_assigned_offsets(self, keys: Iterable[KafkaPartition]) -> dict[KafkaPartition, AssignedOffset]:
        """Return what Kafka said of these Kafka partitions, each only for its first batch."""
        return {key: self.assigned_offsets.pop(key) for key in keys if key in self.assigned_offsets}

    def sample(self, records: Sequence[Message], keys: Collection[KafkaPartition]) -> None:
        """Look at some records' times, by which lag in seconds is measured."""
        if self._lag.wants_sample:
            self._lag.sample(records, keys, time.time())

    def record_lag(self, committed: Mapping[KafkaPartition, int], ends: Mapping[KafkaPartition, int]) -> None:
        """Record the lag of the Kafka partitions that `ends` has, in the metrics."""
        for key, end in ends.items():
            records, age_s = self._lag.measure(key, committed.get(key, 0), end, time.time())
            self._recorder.set(LAG, records, topic=key[0], kafka_partition=str(key[1]))
            self._recorder.set(LAG_SECONDS, age_s, topic=key[0], kafka_partition=str(key[1]))


def topic_partitions(keys: Iterable[KafkaPartition]) -> list[TopicPartition]:
    """Return Kafka partitions in the form in which the client takes them."""
    return [TopicPartition(topic, kafka_partition) for topic, kafka_partition in keys]
