"""What Kafka refused of a batch, until the batch comes again."""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from tracker.kafka_partition import KafkaPartition
from tracker.messages.refusal import Refusal

_MOST = 10_000  # those of Kafka partitions that are others' by now are never asked for again

JobKey = tuple[int, int]  # the keys of tenant and job


@dataclass
class _Noted:
    """What was refused of one batch, and how far that batch went in each Kafka partition."""

    ends: dict[KafkaPartition, int]
    records: dict[tuple[KafkaPartition, int], Refusal] = field(
        default_factory=dict
    )  # by Kafka partition and offset
    releases: dict[JobKey, Refusal] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.records) + len(self.releases)


class Refusals:
    """What Kafka refused, each for what it is, when its batch was to be published; so it was given up.

    One thread notes it, and another looks when the batch comes again. It is forgotten once everything that
    was in the batch is published: the batch may be cut in another way the next time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: deque[_Noted] = deque()
        self._count = 0

    def note(
        self,
        ends: Mapping[KafkaPartition, int],
        records: Mapping[tuple[KafkaPartition, int], Refusal],
        releases: Mapping[JobKey, Refusal],
    ) -> None:
        """Note what was refused of the batch that ended at these offsets."""
        with self._lock:
            self._noted.append(_Noted(dict(ends), dict(records), dict(releases)))
            self._count += len(records) + len(releases)
            while len(self._noted) > 1 and self._count > _MOST:
                self._count -= len(self._noted.popleft())

    def of_record(self, key: KafkaPartition, offset: int) -> Refusal | None:
        """Return why a record was refused, if it was."""
        if not self._noted:
            return None
        with self._lock:
            return next((why for noted in self._noted if (why := noted.records.get((key, offset)))), None)

    def of_release(self, job: JobKey) -> Refusal | None:
        """Return why the task message of a job was refused, if it was."""
        with self._lock:
            return next((why for noted in self._noted if (why := noted.releases.get(job))), None)

    def published(self, ends: Mapping[KafkaPartition, int]) -> None:
        """Forget what was refused of batches that are published as a whole, now that these offsets are."""
        if not self._noted:
            return
        with self._lock:
            for noted in self._noted:
                noted.ends = {key: end for key, end in noted.ends.items() if ends.get(key, 0) < end}
            self._noted = deque(noted for noted in self._noted if noted.ends)
            self._count = sum(map(len, self._noted))

    def __len__(self) -> int:
        return self._count
