"""A batch: the records of one poll, or the offsets that it passed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from confluent_kafka import Message, TopicPartition

from tracker.kafka_partition import KafkaPartition
from tracker.messages.skipped_records import SkippedRecords


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


def offsets_to_commit(offsets: Mapping[KafkaPartition, int], metadata: str) -> list[TopicPartition]:
    """Return offsets in the form that a transaction takes."""
    return [TopicPartition(topic, number, offset, metadata) for (topic, number), offset in offsets.items()]
