"""A batch: the records of one poll, or the offsets that it passed."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from confluent_kafka import Message, TopicPartition

from tracker.kafka_partition import KafkaPartition
from tracker.messages.skipped_records import SkippedRecords

_LATEST_TIME_MS = 253_402_300_799_999  # the end of the year 9999: a producer can write any time


class Epoch:
    """A stretch of batches that build on each other.

    After one of them is abandoned, all later ones are too: the consumer returns to the committed offsets and
    begins a new epoch. A thread that holds a batch of an abandoned epoch drops it.
    """

    __slots__ = ("abandoned",)

    def __init__(self) -> None:
        self.abandoned = False


class AssignedOffset(NamedTuple):
    """What Kafka said of a Kafka partition when it was assigned. The database must agree."""

    committed: int | None  # offset; None: none was committed
    metadata: str  # of the commit
    topic_id: str  # differs when a topic is deleted and created again; '': not known


class OffsetRange(NamedTuple):
    """The offsets that a batch covers in a Kafka partition: from `first` to before `next`."""

    first: int
    next: int


@dataclass(slots=True)
class Batch:
    """Records in the order in which they were polled, so those of each Kafka partition are in its order.

    `ranges` covers the Kafka partitions of the batch without gaps: a range begins where the range of the
    previous batch ended, which is not above its first record. `assigned_offsets` has the Kafka partitions
    whose first batch since their assignment this is. A batch without records only moves past transaction
    markers, aborted records, and the records in `skipped`.
    """

    records: Sequence[Message]
    ranges: dict[KafkaPartition, OffsetRange]
    epoch: Epoch
    group_metadata: Any
    size_bytes: int = 0
    assigned_offsets: dict[KafkaPartition, AssignedOffset] = field(default_factory=dict)
    skipped: SkippedRecords | None = None  # then there are no records

    def next_offsets(self) -> dict[KafkaPartition, int]:
        """Return, for each Kafka partition, the offset that comes after the batch."""
        return {key: offsets.next for key, offsets in self.ranges.items()}

    def last_times_ms(self) -> dict[KafkaPartition, int]:
        """Return the time of the last record of each Kafka partition, in ms since 1970; -1: it has none.

        It looks from the end, at four times as many records each time. For one Kafka partition, or several
        whose records take turns, that is a few microseconds, and 0.4 ms if it must look at all of 10,000.
        """
        topics = {topic for topic, _ in self.ranges}
        last: dict[KafkaPartition, Message] = {}
        end, size = len(self.records), 1
        while end and len(last) < len(self.ranges):
            last = _last_of_each(self.records[max(0, end - size) : end], topics) | last
            end, size = max(0, end - size), 4 * size
        return {key: _time_ms_of(record) for key, record in last.items()}

    def split(self) -> tuple["Batch", "Batch"]:
        """Return two batches, each with half of the records."""
        middle = len(self.records) // 2
        cuts: dict[KafkaPartition, int] = {}  # the offsets after the first half
        for record in self.records[:middle]:
            key, offset = coordinates(record)
            cuts[key] = offset + 1
        later = {coordinates(record)[0] for record in self.records[middle:]}
        first, second = {}, {}
        for key, offsets in self.ranges.items():
            if key not in later:
                first[key] = offsets
            else:
                cut = cuts.get(key, offsets.first)
                if key in cuts:
                    first[key] = OffsetRange(offsets.first, cut)
                second[key] = OffsetRange(cut, offsets.next)
        return self._part(self.records[:middle], first), self._part(self.records[middle:], second)

    def _part(self, records: Sequence[Message], ranges: dict[KafkaPartition, OffsetRange]) -> "Batch":
        assigned = {key: offset for key, offset in self.assigned_offsets.items() if key in ranges}
        return Batch(records, ranges, self.epoch, self.group_metadata, sum(map(len, records)), assigned)


def coordinates(record: Message) -> tuple[KafkaPartition, int]:
    """Return the Kafka partition and the offset of a record that was consumed."""
    topic, kafka_partition, offset = record.topic(), record.partition(), record.offset()
    if topic is None or kafka_partition is None or offset is None:
        raise ValueError("the record was not consumed from Kafka")
    return (topic, kafka_partition), offset


def _last_of_each(records: Sequence[Message], topics: Set[str]) -> dict[KafkaPartition, Message]:
    """Return the last record of each Kafka partition, without a step of Python for each record."""
    numbers: Iterable[Any] = map(Message.partition, records)
    if len(topics) == 1:
        [topic] = topics
        last = dict(zip(numbers, records, strict=True))
        return {(topic, number): record for number, record in last.items()}
    keys: Iterable[Any] = zip(map(Message.topic, records), numbers, strict=True)
    return dict(zip(keys, records, strict=True))


def _time_ms_of(record: Message) -> int:
    kind, time_ms = record.timestamp()
    return max(-1, min(time_ms, _LATEST_TIME_MS)) if kind else -1


def offsets_to_commit(offsets: Mapping[KafkaPartition, int], metadata: str) -> list[TopicPartition]:
    """Return offsets in the form that a transaction takes."""
    return [TopicPartition(topic, number, offset, metadata) for (topic, number), offset in offsets.items()]
