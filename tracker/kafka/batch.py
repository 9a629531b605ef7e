"""A batch: what one poll has brought, or passed over."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from confluent_kafka import Message

from tracker.messages.skipped_records import SkippedRecords

TopicPartition = tuple[str, int]


class Run:
    """A stretch of batches that build on each other.

    Once one of them is given up, all behind it are: the consumer goes back to the committed offsets, and a
    new run begins. Whoever holds a batch of a run that was given up passes over it.
    """

    __slots__ = ("given_up",)

    def __init__(self) -> None:
        self.given_up = False


class Claim(NamedTuple):
    """What Kafka said of a Kafka partition when it was assigned: the database must agree."""

    committed: int | None  # offset; None: none was committed
    metadata: str  # of the commit
    topic_id: str  # tells a topic from one of the same name that was made anew; '': not known


@dataclass(slots=True)
class Batch:
    """Records in the order in which they were polled, so each Kafka partition's are in its order.

    `ranges` has, for each Kafka partition among them, the offset behind the batch before, which is not above
    its first record's, and that behind its last. `first_claims` is for the Kafka partitions that this batch
    is the first of since they were assigned. Without records, a batch only moves past transaction markers and
    aborted records.
    """

    records: Sequence[Message]
    ranges: dict[TopicPartition, tuple[int, int]]
    run: Run
    group_metadata: Any
    size_bytes: int = 0
    first_claims: dict[TopicPartition, Claim] = field(default_factory=dict)
    skipped: SkippedRecords | None = None  # then there are no records

    def ends(self) -> dict[TopicPartition, int]:
        """Return the offset that comes after the batch, for each Kafka partition."""
        return {key: behind for key, (_, behind) in self.ranges.items()}

    def split(self) -> tuple["Batch", "Batch"]:
        """Return two batches that have half of the records each."""
        middle = len(self.records) // 2
        cuts: dict[TopicPartition, int] = {}  # behind what the first half has
        for record in self.records[:middle]:
            key, offset = coordinates(record)
            cuts[key] = offset + 1
        later = {coordinates(record)[0] for record in self.records[middle:]}
        first, second = {}, {}
        for key, (start, behind) in self.ranges.items():
            if key not in later:
                first[key] = start, behind
            else:
                cut = cuts.get(key, start)
                if key in cuts:
                    first[key] = start, cut
                second[key] = cut, behind
        return self._part(self.records[:middle], first), self._part(self.records[middle:], second)

    def _part(self, records: Sequence[Message], ranges: dict[TopicPartition, tuple[int, int]]) -> "Batch":
        claims = {key: claim for key, claim in self.first_claims.items() if key in ranges}
        return Batch(records, ranges, self.run, self.group_metadata, sum(map(len, records)), claims)


def coordinates(record: Message) -> tuple[TopicPartition, int]:
    """Return the Kafka partition and the offset of a record that was consumed."""
    topic, kafka_partition, offset = record.topic(), record.partition(), record.offset()
    if topic is None or kafka_partition is None or offset is None:
        raise ValueError("the record was not consumed from Kafka")
    return (topic, kafka_partition), offset
