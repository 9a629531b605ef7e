"""What retention reads and removes: one method a step, each of them a short transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from tracker.job_status import STATUSES, JobStatus
from tracker.store import locks
from tracker.store.connect import Conninfo
from tracker.store.session import Session, ended_at_commit, transaction_mark

JobKey = tuple[int, int]  # tenant_key, job_key

# It holds ended jobs locked meanwhile, and a batch with a late message of one waits for it. So it waits for
# others, at rows that still belong to an ended job, no longer than this.
_LOCK_TIMEOUT_MS = 200


class Cursor(NamedTuple):
    """A cursor in the order in which the jobs are walked: behind this job of the tenant, if any."""

    tenant_key: int
    create_time: datetime | None = None
    job_key: int = 0


START = Cursor(0)


@dataclass(frozen=True, slots=True)
class Found:
    """What a stretch of the walk has found."""

    jobs: list[JobKey]  # to be removed, if they are still as they were seen
    next_cursor: Cursor | None  # None: that was the last stretch
    # By (topic, Kafka partition), for those that are not known to be published: once the group has committed
    # these offsets, all that had been applied when the jobs were seen is.
    applied_offsets: dict[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class Removed:
    """How many jobs of a status were removed, and for how long at most one of them had not changed."""

    status: JobStatus
    count: int
    age_s: float


class RetentionStore(Session):
    """Retention's connection to the job store. Not for several threads at once.

    `ended_s`, `failed_s`: how long cancelled and completed, and failed jobs are kept; None: for ever. Every
    method may raise `psycopg.Error`: nothing was done then, and the next sweep does it.
    """

    def __init__(self, conninfo: Conninfo, ended_s: int | None, failed_s: int | None) -> None:
        super().__init__(conninfo, "tracker-retention")
        self._times = {"ended_s": ended_s, "failed_s": failed_s}
        self._has_lock = False  # of the session that there is

    def try_lock(self) -> bool:
        """Become the one that removes jobs, if there is none; return whether it is the one. Never waits.

        :raises DatabaseUnavailable: no connection can be had.
        """
        self.connect()
        if not self._has_lock:
            self.close()
        return self._has_lock

    def _begin(self) -> None:
        """Take the lock, if nobody has it."""
        self._open.execute(f"SET lock_timeout = {_LOCK_TIMEOUT_MS}")
        [(self._has_lock,)] = self._execute("try_retention_lock", **{"class": locks.RETENTION}).fetchall()

    def find(self, cursor: Cursor, limit: int) -> Found:
        """Walk over up to `limit` jobs from `cursor` on, and return those that are to be removed."""
        rows = self._execute("find_expired_jobs", **cursor._asdict(), **self._times, limit=limit).fetchall()
        # In a later statement: a batch whose end of a job is seen above has its progress seen here.
        progress = self._execute("read_progress").fetchall()
        return Found(
            [(tenant_key, job_key) for tenant_key, _, job_key, is_expired in rows if is_expired],
            _next_place(*rows[-1][:3]) if len(rows) == limit else None,
            {
                (topic, kafka_partition): next_offset
                for topic, kafka_partition, next_offset, published_offset, _ in progress
                if next_offset > published_offset
            },
        )

    def remove(self, jobs: Sequence[JobKey]) -> list[Removed]:
        """Remove those of these jobs that may be, and return how many.

        Locks are taken in the order of everyone: jobs, edges, pending tasks; a job with outbox rows stays.
        """
        keys = {"tenant_keys": [key[0] for key in jobs], "job_keys": [key[1] for key in jobs]}
        with transaction_mark(), ended_at_commit(), self._open.transaction():
            locked = self._execute("lock_expired_jobs", **keys, **self._times).fetchall()
            if not locked:
                return []
            keys = {"tenant_keys": [key[0] for key in locked], "job_keys": [key[1] for key in locked]}
            with self._open.pipeline():
                for lock in ("lock_edges_of_jobs", "lock_pending_tasks"):
                    self._execute(lock, **keys)
                rows = self._execute("remove_expired_jobs", **keys).fetchall()
        return [Removed(STATUSES[status], count, age_s) for status, count, age_s in rows]

    def remove_leftovers(self, limit: int) -> int:
        """Remove some of what removed jobs have left, and return how many rows; 0: nothing was left."""
        [(count,)] = self._execute("remove_leftovers", limit=limit).fetchall()
        return int(count)


def _next_place(tenant_key: int, create_time: datetime | None, job_key: int | None) -> Cursor:
    """Return the cursor behind a row of the walk; one without job is the end of its tenant."""
    if job_key is None:
        return Cursor(tenant_key + 1)
    return Cursor(tenant_key, create_time, job_key)
