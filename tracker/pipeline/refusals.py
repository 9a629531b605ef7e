"""What Kafka refused of a batch, until the batch is redelivered."""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from tracker.kafka_partition import KafkaPartition
from tracker.messages.refusal import Refusal

_MAX_REFUSALS = 10_000  # some are never asked for: other workers have their Kafka partitions by now

JobKey = tuple[int, int]  # the keys of tenant and job


@dataclass
class _RefusedOfBatch:
    """What was refused of one batch, and how far that batch went in each Kafka partition."""

    next_offsets: dict[KafkaPartition, int]
    # By Kafka partition and offset.
    records: dict[tuple[KafkaPartition, int], Refusal] = field(default_factory=dict)
    releases: dict[JobKey, Refusal] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.records) + len(self.releases)


class Refusals:
    """What Kafka refused, each because of its content, at the publication of its batch. It was abandoned.

    One thread adds refusals, and another looks them up when the batch is redelivered. They are removed when
    everything in the batch is published: the next time, the batch may be cut in another way.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._batches: deque[_RefusedOfBatch] = deque()
        self._count = 0

    def add(
        self,
        next_offsets: Mapping[KafkaPartition, int],
        records: Mapping[tuple[KafkaPartition, int], Refusal],
        releases: Mapping[JobKey, Refusal],
    ) -> None:
        """Add what was refused of the batch that ends before these offsets."""
        with self._lock:
            self._batches.append(_RefusedOfBatch(dict(next_offsets), dict(records), dict(releases)))
            self._count += len(records) + len(releases)
            while len(self._batches) > 1 and self._count > _MAX_REFUSALS:
                self._count -= len(self._batches.popleft())

    def of_record(self, key: KafkaPartition, offset: int) -> Refusal | None:
        """Return why a record was refused, if it was."""
        if not self._batches:
            return None
        with self._lock:
            return next((found for each in self._batches if (found := each.records.get((key, offset)))), None)

    def of_release(self, job: JobKey) -> Refusal | None:
        """Return why the task message of a job was refused, if it was."""
        with self._lock:
            return next((found for each in self._batches if (found := each.releases.get(job))), None)

    def remove_published(self, next_offsets: Mapping[KafkaPartition, int]) -> None:
        """Remove refusals of batches that are published as a whole when all below these offsets is."""
        if not self._batches:
            return
        with self._lock:
            for each in self._batches:
                each.next_offsets = {
                    key: offset
                    for key, offset in each.next_offsets.items()
                    if next_offsets.get(key, 0) < offset
                }
            self._batches = deque(each for each in self._batches if each.next_offsets)
            self._count = sum(map(len, self._batches))

    def __len__(self) -> int:
        return self._count
