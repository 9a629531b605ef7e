"""What retention reads and removes: one method for each step, each a short transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from tracker.job_status import STATUSES, JobStatus
from tracker.store import locks
from tracker.store.arrays import key_arrays
from tracker.store.connect import Conninfo
from tracker.store.session import Session, ended_at_commit, transaction_mark

JobKey = tuple[int, int]  # tenant_key, job_key

# How long retention waits for locks on other rows of jobs. Meanwhile it holds locks on the ended jobs
# themselves, and a batch with a late message of one of them waits for it.
_LOCK_TIMEOUT_MS = 200


class Cursor(NamedTuple):
    """A position in the order in which the jobs are scanned: after this job of the tenant, if any."""

    tenant_key: int
    create_time: datetime | None = None
    job_key: int = 0


START = Cursor(0)


@dataclass(frozen=True, slots=True)
class ScannedJobs:
    """What one part of the scan has found."""

    expired: list[JobKey]  # to be removed, if they have not changed since
    next_cursor: Cursor | None  # None: this was the last part
    # By (topic, Kafka partition), where not all is known to be published. When the group has committed these
    # offsets, all is published that was applied when the jobs were found.
    applied_offsets: dict[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class Removed:
    """How many jobs of a status were removed, and the longest time for which one of them had not changed."""

    status: JobStatus
    count: int
    age_s: float


class RetentionStore(Session):
    """Retention's connection to the job store. Do not share it between threads.

    Cancelled and completed jobs are kept for `ended_s`, failed ones for `failed_s`; None: for ever. Every
    method may raise `psycopg.Error`: it has done nothing then, and the next sweep does it.
    """

    def __init__(self, conninfo: Conninfo, ended_s: int | None, failed_s: int | None) -> None:
        super().__init__(conninfo, "tracker-retention")
        self._kept_s = {"ended_s": ended_s, "failed_s": failed_s}
        self._has_lock = False  # whether the present session has it

    def try_lock(self) -> bool:
        """Take retention's lock if it is free, and return whether this session has it. Never waits.

        :raises DatabaseUnavailable: no connection is available.
        """
        self.connect()
        if not self._has_lock:
            self.close()
        return self._has_lock

    def _begin(self) -> None:
        """Take the lock, if it is free."""
        self._open.execute(f"SET lock_timeout = {_LOCK_TIMEOUT_MS}")
        [(self._has_lock,)] = self._execute("try_retention_lock", **{"class": locks.RETENTION}).fetchall()

    def find(self, cursor: Cursor, limit: int) -> ScannedJobs:
        """Scan up to `limit` jobs after `cursor`, and return those that are to be removed."""
        rows = self._execute("find_expired_jobs", **cursor._asdict(), **self._kept_s, limit=limit).fetchall()
        # In a later statement: it sees the progress of every batch that has ended a job that was found above.
        progress = self._execute("read_progress").fetchall()
        return ScannedJobs(
            [(tenant_key, job_key) for tenant_key, _, job_key, is_expired in rows if is_expired],
            _cursor_after(*rows[-1][:3]) if len(rows) == limit else None,
            {
                (topic, kafka_partition): next_offset
                for topic, kafka_partition, next_offset, published_offset, _ in progress
                if next_offset > published_offset
            },
        )

    def remove(self, jobs: Sequence[JobKey]) -> list[Removed]:
        """Remove those of these jobs that can still be removed, and return how many.

        Takes locks in the order of every transaction: jobs, edges, task messages. Keeps a job that has outbox
        rows.
        """
        keys = key_arrays(jobs)
        with transaction_mark(), ended_at_commit(), self._open.transaction():
            locked = self._execute("lock_expired_jobs", **keys, **self._kept_s).fetchall()
            if not locked:
                return []
            keys = key_arrays(locked)
            with self._open.pipeline():
                for lock in ("lock_edges_of_jobs", "lock_task_messages"):
                    self._execute(lock, **keys)
                rows = self._execute("remove_expired_jobs", **keys).fetchall()
        return [Removed(STATUSES[status], count, age_s) for status, count, age_s in rows]

    def remove_leftovers(self, limit: int) -> int:
        """Remove some of the rows that removed jobs have left, and return how many; 0: none were left."""
        [(count,)] = self._execute("remove_leftovers", limit=limit).fetchall()
        return int(count)


def _cursor_after(tenant_key: int, create_time: datetime | None, job_key: int | None) -> Cursor:
    """Return the cursor after a row of the scan; a row without a job is the end of its tenant."""
    if job_key is None:
        return Cursor(tenant_key + 1)
    return Cursor(tenant_key, create_time, job_key)
