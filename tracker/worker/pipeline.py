"""What a worker's three threads share."""

import queue
from typing import TYPE_CHECKING

from tracker.kafka.batch import Batch, TopicPartition
from tracker.messages.batch import Sorted
from tracker.worker.in_flight import InFlight

if TYPE_CHECKING:
    from tracker.worker.apply import Applied


class Pipeline:
    """The batches on their way from thread to thread, and how far each Kafka partition has come.

    A batch waits in `to_apply` and then in `to_publish`, which have room for one each; None ends the thread
    that takes from there.
    """

    def __init__(self) -> None:
        self.in_flight = InFlight()
        self.to_apply: queue.Queue[tuple[Batch, Sorted] | None] = queue.Queue(1)
        self.to_publish: queue.Queue[Applied | None] = queue.Queue(1)
        self.published: dict[TopicPartition, int] = {}  # offsets known to be committed
        self.to_commit: dict[TopicPartition, int] = {}  # at least once: delivered, not committed yet
        self.database_id = ""  # of the deployment's database; '': not known yet
        self.failure: BaseException | None = None  # of a thread, which ends the worker
