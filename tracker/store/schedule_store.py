"""What the scheduler reads and writes: one method for each step."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from tracker.identifiers import JobName
from tracker.messages.pending_task import PendingTask
from tracker.store import locks
from tracker.store.batch_store import POSTPONED_S
from tracker.store.connect import Conninfo
from tracker.store.held_message import HeldMessage
from tracker.store.session import Session, ended_at_commit, transaction_mark

CHANNEL = "tracker_scheduler"


class DroppedWork(NamedTuple):
    """Stored work of a tenant's jobs that was dropped without being sent."""

    kind: str  # held_message or pending_task
    reason: str
    amount: int
    job: JobName  # one of them


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A row of the outbox: a task message, a held message, or neither, if its payload is gone."""

    send_number: int
    task: PendingTask | None
    is_delayed: bool
    held: HeldMessage | None

    @property
    def topic(self) -> str:
        """The topic to send it to; empty if it is not sent."""
        if self.task is not None:
            return self.task.task_pipe
        return self.held.destination if self.held is not None else ""

    def without_payload(self) -> "OutboxEntry":
        """Return an entry that sends nothing, but has the same number."""
        return OutboxEntry(self.send_number, None, is_delayed=False, held=None)


class ScheduleStore(Session):
    """The scheduler's connection to the job store. Do not share it between threads.

    Every method may raise `psycopg.Error`; start the whole round again then.
    """

    def __init__(self, conninfo: Conninfo) -> None:
        super().__init__(conninfo, "tracker-scheduler")

    def _begin(self) -> None:
        """Listen for notifications that there is something to send."""
        self._open.execute(f"LISTEN {CHANNEL}")

    def try_lock(self) -> bool:
        """Become the active scheduler, unless there is one, and return whether it is. Never waits."""
        [(locked,)] = self._execute("try_scheduler_lock", **{"class": locks.SCHEDULER}).fetchall()
        return bool(locked)

    def wait(self, timeout_s: float) -> None:
        """Wait until there may be something to send, but no longer than the timeout."""
        for _ in self._open.notifies(timeout=timeout_s, stop_after=1):
            pass

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Store everything within it as a whole, or nothing."""
        with transaction_mark(), ended_at_commit(), self._open.transaction():
            yield

    def lock_send_numbers(self) -> tuple[int, int]:
        """Lock the send numbers; return the last one that was given, and the last sent number."""
        [(_, last, sent)] = self._execute("lock_deployment").fetchall()
        return last, sent

    def delete_published(self, sent_number: int) -> None:
        """Delete what is published: everything with a number up to `sent_number`."""
        self._execute("delete_published", sent_number=sent_number)

    def enqueue_due(self, limit: int) -> None:
        """Put what is due into the outbox, up to `limit` of each kind; drop what is held for ended jobs."""
        self._execute("enqueue_eligible_tasks", limit=limit)
        self._execute("enqueue_held_messages", limit=limit)
        self._execute("delete_resumed_jobs")

    def pop_dropped_work(self, limit: int) -> list[DroppedWork]:
        """Return up to `limit` rows of dropped work, and delete them."""
        rows = self._execute("pop_dropped_work", limit=limit).fetchall()
        return [
            DroppedWork(kind, reason, amount, JobName(partition_id, job_id))
            for kind, reason, amount, partition_id, job_id in rows
        ]

    def has_leftovers(self) -> bool:
        """Return whether a removed or retried job has left rows of tasks."""
        [(found,)] = self._execute("has_leftovers").fetchall()
        return bool(found)

    def read_outbox(self, sent_number: int, limit: int, limit_bytes: int) -> list[OutboxEntry]:
        """Return entries with numbers above `sent_number`, in their order."""
        rows = self._execute(
            "read_unsent", sent_number=sent_number, limit=limit, limit_bytes=limit_bytes
        ).fetchall()
        return [_outbox_entry(row) for row in rows]

    def postpone(self, tasks: list[tuple[PendingTask, str]], delay_s: int = POSTPONED_S) -> None:
        """Remove task messages from the outbox; they become eligible again after `delay_s`.

        Each is given with the reason why it cannot be sent.
        """
        if tasks:
            self._execute(
                "postpone_tasks",
                tenant_keys=[task.tenant_key for task, _ in tasks],
                job_keys=[task.job_key for task, _ in tasks],
                reasons=[reason for _, reason in tasks],
                delay_s=delay_s,
            )


def _outbox_entry(row: tuple[Any, ...]) -> OutboxEntry:
    send_number, tenant_key, job_key, partition_id, job_id = row[:5]
    classifier, api_version, data, pipe, target, correlation_id, task_id, is_delayed = row[5:13]
    destination, key, value, headers, *source = row[13:]
    task = held = None
    if pipe is not None and job_id is not None:
        job = JobName(partition_id, job_id)
        task = PendingTask(
            tenant_key, job_key, job, classifier, api_version, data, pipe, target, correlation_id, task_id
        )
    elif destination is not None:
        held = HeldMessage(destination, key, value, headers, *source)
    return OutboxEntry(send_number, task, bool(is_delayed), held)
