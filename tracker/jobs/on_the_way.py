"""What is still on its way of jobs that were cancelled, as far as the database knows."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from tracker.identifiers import JobName
from tracker.jobs.change import Key
from tracker.jobs.job import ChangedJob
from tracker.store.arrays import name_arrays
from tracker.store.steps import Prepared, Row, Verb, ask


class SendNumbers(NamedTuple):
    """Up to which number the scheduler has begun to send messages, and up to which it has ended."""

    last: int
    sent: int


def read_send_numbers() -> Prepared[SendNumbers]:
    """Return the scheduler's send numbers.

    What the scheduler had begun to send when a job was cancelled has a number up to the last one that is
    read after the cancel. What it begins later no longer has the job's messages.
    """
    return Prepared(_read_send_numbers)


def _read_send_numbers() -> Verb[SendNumbers]:
    ((last, sent),) = yield from ask("read_send_numbers")
    return SendNumbers(last, sent)


class DropCount:
    """Counts the messages of cancelled jobs that batches have dropped since the cancel.

    Messages of an earlier run may have been dropped before. How many is read in the transaction that cancels
    the jobs, where no batch can change it, and what it reads last counts if it is done again. Not counted are
    messages that were decided on before the cancel, and whose Kafka transaction has failed: they are dropped
    when they come again, and batches note only what is new.
    """

    def __init__(self) -> None:
        self._before: dict[Key, int] = {}  # without jobs of which none was dropped
        self._names: Sequence[JobName] = ()
        self._action_key: int | None = None

    def begin_with(self, cancel: Prepared[list[ChangedJob]]) -> Prepared[list[ChangedJob]]:
        """Return a verb that cancels named jobs, and begins to count."""
        return Prepared(partial(self._cancel, cancel))

    def begin(self, names: Sequence[JobName], action_key: int) -> Verb[None]:
        """Begin to count for jobs that a step of `change_matching` has cancelled."""
        self._action_key = action_key
        yield from self._read_before(names)

    def count(self) -> Prepared[int]:
        """Return how many were dropped until now."""
        return Prepared(self._count)

    def _cancel(self, cancel: Prepared[list[ChangedJob]]) -> Verb[list[ChangedJob]]:
        jobs = yield from cancel.begin()
        self._names = [JobName(job.partition_id, job.id) for job in jobs]
        yield from self._read_before(self._names)
        return jobs

    def _read_before(self, names: Sequence[JobName]) -> Verb[None]:
        rows = yield from ask("list_drops", **name_arrays(names))
        self._before.update({(tenant_key, job_key): dropped for tenant_key, job_key, dropped in rows})

    def _count(self) -> Verb[int]:
        rows: list[Row] = []
        if self._names:
            rows = yield from ask("list_drops", **name_arrays(self._names))
        elif self._action_key is not None:
            rows = yield from ask("list_drops_of_action", action_key=self._action_key)
        return sum(
            dropped - self._before.get((tenant_key, job_key), 0) for tenant_key, job_key, dropped in rows
        )
