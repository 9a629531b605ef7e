"""Applies reports to jobs in a database as a worker does, without Kafka."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from bench.batch_applier import BatchApplier
from bench.workload import ProducerRecord
from tests.support.messages import failure, key_of, report, tracking_report
from tracker.store.batch_store import BatchStore

TRACKING_TOPIC = "tracking"


class Reports:
    """Reports on tasks, each batch of them an event."""

    def __init__(self, store: BatchStore) -> None:
        self._applier = BatchApplier(store, TRACKING_TOPIC)

    def apply(self, *values: bytes, key: bytes = b"acme:job") -> None:
        """Apply the values of records as one batch."""
        batch = self._applier.receive([ProducerRecord(0, key, value) for value in values])
        self._applier.apply(batch, self._applier.decode(batch))

    def complete(self, *tasks: str) -> None:
        """Report that tasks have completed."""
        self._report([report(task, "Complete") for task in tasks], tasks[0])

    def fail(self, *tasks: str) -> None:
        """Report that tasks have failed."""
        self._report([report(task, "Failed", failure=failure()) for task in tasks], tasks[0])

    def progress(self, *tasks: str, percentage: float = 40) -> None:
        """Report progress of tasks."""
        self._report([report(task, "Progress", percentage) for task in tasks], tasks[0])

    def _report(self, reports: list[dict[str, object]], task: str) -> None:
        self.apply(tracking_report(*reports), key=key_of(task))


@contextmanager
def open_reports(database_url: str) -> Iterator[Reports]:
    store = BatchStore(database_url)
    store.connect()
    with closing(store):
        yield Reports(store)
