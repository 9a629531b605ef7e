"""Removes jobs that ended long ago, on a thread beside the active scheduler, in small steps.

How the jobs are found. A batch must not pay for it, so there is no data structure for it. Each sweep scans
all jobs that are old enough in the order of `job_create_time`, tenant by tenant, and reads their rows. Three
other ways were rejected because of the WAL that they cost a batch, measured with 200,000 jobs in batches of
2,000. Without any of them, it is 184 bytes for each job that the batch completes, and 266 bytes for each job
that it only updates.

- A table in which the batch records the jobs that it completes: 376 bytes. Cancels, failures and repairs
  would also have to keep it true.
- An index on the key of jobs that have ended (``WHERE status >= 4``): 472 bytes, because the update that
  completes a job is no longer an update in place (HOT).
- An index that contains the time of the last update: 478 bytes, and 501 for a job that is only updated,
  because no update of a job is in place any more.

To read 10,000 jobs that stay takes some 30 ms: for 10,000,000 jobs two or three minutes, with the pauses.
After a sweep, retention pauses for as long as the sweep took, so that it uses at most a tenth of one
session's time.

What is removed. A job is not removed while others wait for it, or while one of its messages may still have to
be sent. It is not removed before all that had been applied when it was found is known to be published: the
messages of a batch whose Kafka transaction did not commit are redelivered, and are forwarded again only if
their job exists (`tracker.fold.decide`).

After each step the thread pauses four times as long, to leave PostgreSQL's CPUs and disks to others: it
removes at most some 5,000 jobs a second.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import psycopg
from confluent_kafka import KafkaException

from tracker.failpoints import reach
from tracker.job_status import JobStatus
from tracker.kafka.committed import CommittedOffsets
from tracker.logs import get_logger
from tracker.metrics import DATABASE_RETRIES, JOBS_REMOVED, RETENTION_DELAY, Recorder
from tracker.settings import Settings
from tracker.store.explain import PASSING
from tracker.store.retention_store import START, JobKey, RetentionStore, ScannedJobs

_SCAN_JOBS = 10_000  # read in one statement, which locks none
_STEP_JOBS = 200  # removed in one transaction; a late message of one of them waits for it, about 10 ms
_STEP_ROWS = 5_000  # of removed jobs' tasks, removed in one transaction
_STEP_PAUSE_FACTOR = 4  # pause after each step, as a multiple of its duration
_SWEEP_PAUSE_FACTOR = 1  # pause after a sweep, as a multiple of its duration
# A job may be removed late by a tenth of its retention, within these bounds.
_SWEEPS_PER_RETENTION = 10
_SWEEP_EVERY_S = (1.0, 60.0)
_ASK_PUBLISHED_EVERY_S = 0.2
_STANDBY_S = 1.0
_RETRY_S = (1.0, 60.0)

T = TypeVar("T")
log = get_logger()


class _Interrupted(Exception):
    """The thread must end, or leave the work to the thread of another scheduler."""


class Retention:
    """A thread that removes old jobs while it is allowed to, and what retried jobs have left.

    It has a session only if the settings let any job be removed, or while something is left.
    """

    def __init__(self, settings: Settings, recorder: Recorder, stopping: threading.Event) -> None:
        self._settings = settings
        self._recorder = recorder
        self._stopping = stopping
        self._times = {
            JobStatus.FAILED: settings.retention_failed_s,
            JobStatus.CANCELLED: settings.retention_s,
            JobStatus.COMPLETED: settings.retention_s,
        }
        self._store = RetentionStore(
            settings.database_conninfo, settings.retention_s, settings.retention_failed_s
        )
        self._allowed = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="retention", daemon=True)
        self._removed: Counter[JobStatus] = Counter()  # in this sweep
        self._committed: CommittedOffsets | None = None  # made when it is first needed

    @property
    def is_wanted(self) -> bool:
        """Whether the settings let any job be removed."""
        return any(self._times.values())

    def allow(self) -> None:
        """Let the thread work, if the settings want it; called when the scheduler becomes active."""
        if self.is_wanted:
            self.remove_leftovers()

    def remove_leftovers(self) -> None:
        """Let the thread work, whatever the settings want."""
        self._allowed.set()
        if not self._thread.is_alive():
            self._thread.start()

    def forbid(self) -> None:
        """Let the thread finish its step, and then wait until it is allowed again."""
        self._allowed.clear()

    def check(self) -> None:
        """Raise the unexpected error that has ended the thread, if there is one."""
        if self._failure is not None:
            raise self._failure

    def close(self, timeout_s: float) -> None:
        """Wait until the thread ends, after `stopping` is set. A step that hangs ends with the process."""
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _main(self) -> None:
        try:
            self._keep_sweeping()
        except BaseException as error:  # noqa: BLE001 - raised by the scheduler
            self._failure = error
        finally:
            if self._committed is not None:
                self._committed.close()
            self._store.close()

    def _keep_sweeping(self) -> None:
        """Repeat sweeps until the program is to stop."""
        retry_s, longest_s = _RETRY_S
        while not self._stopping.is_set():
            try:
                while not (self._allowed.is_set() and self._store.try_lock()):
                    if self._stopping.wait(_STANDBY_S):
                        return
                took_s = self._sweep()
                retry_s = _RETRY_S[0]
                if self.is_wanted:
                    self._pause(self._pause_s(took_s))
                else:
                    self._allowed.clear()
                    self._store.close()
            except _Interrupted:
                self._store.close()  # this releases the lock
            except PASSING as error:
                self._store.close_if_read_only(error)
                self._recorder.add(DATABASE_RETRIES, cause="unavailable")
                self._log_wait("PostgreSQL", str(error).partition("\n")[0])
                self._stopping.wait(retry_s)
                retry_s = min(2 * retry_s, longest_s)
            except KafkaException as error:
                self._log_wait("Kafka", error.args[0].str())
                self._stopping.wait(retry_s)
                retry_s = min(2 * retry_s, longest_s)

    def _log_wait(self, server: str, error: str) -> None:
        log.warning("old jobs cannot be removed; trying again", waiting_for=server, error=error)

    def _pause_s(self, took_s: float) -> float:
        """Return how long to pause after a sweep: a part of the retention, and more after a long sweep."""
        shortest_s, longest_s = _SWEEP_EVERY_S
        part_s = min(filter(None, self._times.values())) / _SWEEPS_PER_RETENTION
        usual_s = min(max(part_s, shortest_s), longest_s)
        return max(usual_s, min(_SWEEP_PAUSE_FACTOR * took_s, part_s))

    def _sweep(self) -> float:
        """Remove what is to be removed now, and return how long that took."""
        began = time.monotonic()
        self._removed.clear()
        if self.is_wanted:
            self._remove_expired()
        while self._work(partial(self._store.remove_leftovers, _STEP_ROWS)):
            pass
        took_s = time.monotonic() - began
        if self._removed.total():
            counts = {str(status.name).lower(): count for status, count in self._removed.items()}
            log.info("old jobs removed", **counts, seconds=round(took_s, 1))
        self._recorder.set(RETENTION_DELAY, 0)
        return took_s

    def _remove_expired(self) -> None:
        """Scan all jobs once, and remove those whose retention has passed."""
        cursor = START
        while True:
            found = self._work(partial(self._store.find, cursor, _SCAN_JOBS))
            if found.expired:
                self._wait_until_published(found)
                for first in range(0, len(found.expired), _STEP_JOBS):
                    self._remove(found.expired[first : first + _STEP_JOBS])
            if found.next_cursor is None:
                return
            cursor = found.next_cursor

    def _wait_until_published(self, found: ScannedJobs) -> None:
        """Wait until everything is published that was applied when the jobs were found.

        Messages that are redelivered need their jobs. Those of a topic that the group no longer reads are not
        redelivered.
        """
        wanted = {
            kafka_partition: offset
            for kafka_partition, offset in found.applied_offsets.items()
            if kafka_partition[0] in self._settings.topics
        }
        if wanted and self._committed is None:
            self._committed = CommittedOffsets(self._settings, self._settings.group_id)
        while wanted and self._committed is not None:
            offsets = self._committed.read(wanted)
            wanted = {
                kafka_partition: offset
                for kafka_partition, offset in wanted.items()
                if offsets.get(kafka_partition, -1) < offset
            }
            if wanted:
                self._pause(_ASK_PUBLISHED_EVERY_S)

    def _remove(self, jobs: list[JobKey]) -> None:
        try:
            removed = self._work(partial(self._store.remove, jobs))
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            return  # another session works on rows of one of them: the next sweep finds them again
        for each in removed:
            self._removed[each.status] += each.count
            self._recorder.add(JOBS_REMOVED, each.count, status=each.status.name.lower())
        if removed:
            delays = (each.age_s - (self._times[each.status] or 0) for each in removed)
            self._recorder.set(RETENTION_DELAY, max(delays))
            reach("retention-after-jobs")

    def _work(self, step: Callable[[], T]) -> T:
        """Do a step, and pause."""
        began = time.monotonic()
        result = step()
        self._pause(_STEP_PAUSE_FACTOR * (time.monotonic() - began))
        return result

    def _pause(self, seconds: float) -> None:
        """Wait.

        :raises _Interrupted: the thread must end, or is no longer allowed to work.
        """
        ends = time.monotonic() + seconds
        while True:
            left_s = ends - time.monotonic()
            if self._stopping.wait(max(0.0, min(left_s, _STANDBY_S))) or not self._allowed.is_set():
                raise _Interrupted
            if left_s <= _STANDBY_S:
                return
