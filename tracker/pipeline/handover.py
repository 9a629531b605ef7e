"""What a worker's three threads share. ``docs/architecture.md`` lists all that threads share."""

import queue
import threading
from collections.abc import Mapping

from tracker.kafka.batch import Batch
from tracker.kafka_partition import KafkaPartition
from tracker.messages.decode import DecodedBatch
from tracker.pipeline.applied import Applied
from tracker.pipeline.in_flight import InFlight


class SharedOffsets:
    """One offset for each Kafka partition. Any thread may call any method."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offsets: dict[KafkaPartition, int] = {}

    def update(self, offsets: Mapping[KafkaPartition, int]) -> None:
        """Set these offsets."""
        with self._lock:
            self._offsets.update(offsets)

    def get(self, key: KafkaPartition) -> int:
        """Return the offset of a Kafka partition; 0 if there is none."""
        with self._lock:
            return self._offsets.get(key, 0)

    def copy(self) -> dict[KafkaPartition, int]:
        """Return all offsets as they are now."""
        with self._lock:
            return dict(self._offsets)

    def remove(self, offsets: Mapping[KafkaPartition, int]) -> None:
        """Remove these offsets, except those that have changed since."""
        with self._lock:
            for key, offset in offsets.items():
                if self._offsets.get(key) == offset:
                    del self._offsets[key]

    def clear(self) -> None:
        """Remove all offsets."""
        with self._lock:
            self._offsets.clear()


class Pipeline:
    """The batches on their way from thread to thread, and how far each Kafka partition has come.

    A batch waits in `to_apply` and then in `to_publish`, which have room for one each. None ends the thread
    that reads the queue.
    """

    def __init__(self) -> None:
        self.in_flight = InFlight()
        self.to_apply: queue.Queue[tuple[Batch, DecodedBatch] | None] = queue.Queue(1)
        self.to_publish: queue.Queue[Applied | None] = queue.Queue(1)
        self.published = SharedOffsets()  # offsets known to be committed
        self.to_commit = SharedOffsets()  # at least once: delivered, not committed yet
        self.database_id = ""  # of the deployment's database; '': not known yet
        self.failure: BaseException | None = None  # of a thread, which ends the worker
