"""The verb that follows jobs until they have ended: once a second it looks at all of them, by their names."""

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from math import ceil, floor
from typing import Any, NamedTuple, TypeVar

from tracker.errors import WaitTimedOut
from tracker.identifiers import JobName
from tracker.job_status import STATUSES, JobStatus
from tracker.jobs.arguments import check_timeout
from tracker.jobs.estimator import DecayedRate, Estimator
from tracker.jobs.job import JobReference, TimeLeft, WatchedJob
from tracker.jobs.query import POLL_SHARE, not_found, read_names, round_percentage
from tracker.jobs.validation import some_of
from tracker.store.arrays import name_arrays
from tracker.store.steps import Feed, Prepared, Row, Sleep, ask

T = TypeVar("T")
PAUSE_S = 1.0
FULL = 100_000_000  # millionths of a percent

_Asking = Generator[Prepared[list[Row]], list[Row], None]
_Steps = Generator[Prepared[list[Row]] | Sleep | Sequence[T], list[Row], None]


def watch_jobs(
    jobs: JobReference | Iterable[JobReference], *, prerequisites: bool = False, timeout: float | None = None
) -> Feed[WatchedJob]:
    """Watch jobs until all of them have ended: Failed, Cancelled or Completed.

    Return each job as it is found first, and again each time that its status or percentage has changed. With
    `prerequisites`, also those that the jobs wait for, directly or not. `timeout` is in seconds. The database
    is asked once a second, and no connection is in use between.

    :raises WaitTimedOut: some have not ended in time.
    :raises JobNotFound: one is not stored, or is deleted before it has ended.
    """
    return follow_jobs(jobs, _changes, prerequisites=prerequisites, timeout=timeout)


def follow_jobs(
    jobs: JobReference | Iterable[JobReference],
    shape: "Callable[[list[Track]], Sequence[T]]",
    *,
    prerequisites: bool = False,
    timeout: float | None = None,
) -> Feed[T]:
    """Do as `watch_jobs`, and return what `shape` makes of all jobs after each look, the named ones first."""
    check_timeout(timeout)
    return Feed(partial(_follow, read_names(jobs), shape, prerequisites, timeout))


class _Found(NamedTuple):
    """A job as it is stored."""

    status: JobStatus
    percentage: int  # millionths of a percent
    attempt: int
    is_estimate: bool  # of the percentage
    completed_tasks: int | None  # None: it has no subtasks, or has completed


class Track:
    """What a watch knows of one job."""

    def __init__(self, name: JobName, *, is_named: bool) -> None:
        self.name = name
        self.is_named = is_named  # not only waited for by one that is
        self.status: JobStatus | None = None
        self.changed = False  # at the last look
        self.walked = False  # whether it is known what it waits for
        self._time_ms = 0
        self._begin(attempt=0)

    def _begin(self, attempt: int) -> None:
        """Begin at 0, with a job that was not seen before, or is started again."""
        self._attempt = attempt
        self._percentage = 0  # the highest that was seen, in millionths
        self._is_estimate = False
        # Since it is active, and the number of its tasks is known.
        self._counted = 0
        self._share: Estimator | None = None
        # Since it is active, and has subtasks.
        self._tasks: DecayedRate | None = None

    @property
    def ended(self) -> bool:
        """Whether it had ended at the last look."""
        return self.status is not None and self.status.ended

    @property
    def is_final(self) -> bool:
        """Whether it had ended for good at the last look."""
        return self.status in (JobStatus.CANCELLED, JobStatus.COMPLETED)

    def find(self, time_ms: int, now_s: float, found: _Found) -> None:
        """Note how it is now."""
        before = self.status, round_percentage(self._percentage)
        if found.attempt != self._attempt:
            self._begin(found.attempt)
        self.status = found.status
        self._is_estimate = found.is_estimate
        self._percentage = max(self._percentage, found.percentage)
        self._measure(now_s, found)
        self.changed = before != (self.status, round_percentage(self._percentage)) or not self._time_ms
        self._time_ms = time_ms

    def _measure(self, now_s: float, found: _Found) -> None:
        """Feed the estimators. A pause is no slow progress, and an estimate no progress to be measured."""
        is_active = found.status is JobStatus.ACTIVE
        if found.is_estimate or not is_active:
            self._share = None
        elif self._share is None:
            self._counted = found.percentage
            self._share = Estimator(now_s, found.percentage / FULL)
        else:
            self._counted = max(self._counted, found.percentage)
            self._share.observe(now_s, self._counted / FULL)
        if found.completed_tasks is None or not is_active:
            self._tasks = None
        elif self._tasks is None:
            self._tasks = DecayedRate(now_s, found.completed_tasks)
        else:
            self._tasks.observe(now_s, found.completed_tasks)

    def miss(self, time_ms: int) -> None:
        """Note that it is not stored. If it had ended, it was removed since, and stays as it was."""
        if not self.ended:
            self.changed = self.status is not None or not self._time_ms
            self.status = None
            self.walked = False
            self._begin(attempt=0)
            self._time_ms = time_ms

    def shown(self) -> WatchedJob:
        """Return the job as it is shown."""
        share_rate = None if self._share is None else self._share.a_second
        tasks_rate = None if self._tasks is None else self._tasks.a_second
        interval = None if self._share is None else self._share.time_left()
        return WatchedJob(
            partition_id=self.name.partition_id,
            id=self.name.job_id,
            time_ms=self._time_ms,
            status=self.status,
            percentage_complete=round_percentage(self._percentage),
            estimate=self._is_estimate,
            tasks_per_second=None if tasks_rate is None else round(tasks_rate, 3),
            percent_per_second=None if share_rate is None else round(100 * share_rate, 4),
            time_left=None if interval is None else TimeLeft(floor(interval.low_s), ceil(interval.high_s)),
        )


def _changes(tracks: list[Track]) -> list[WatchedJob]:
    return [track.shown() for track in tracks if track.changed]


def _follow(
    names: list[JobName],
    shape: Callable[[list[Track]], Sequence[T]],
    prerequisites: bool,
    timeout: float | None,
) -> _Steps[T]:
    tracks = {name: Track(name, is_named=True) for name in names}
    deadline = None if timeout is None else time.monotonic() + timeout
    while tracks:
        begin = time.monotonic()
        if prerequisites:
            yield from _add_prerequisites(tracks)
        yield from _look(tracks)
        took_s = time.monotonic() - begin
        yield shape(list(tracks.values()))
        still_open = [str(track.name) for track in tracks.values() if track.is_named and not track.ended]
        if not still_open:
            return
        now = time.monotonic()
        if deadline is not None and now >= deadline:
            raise WaitTimedOut(f"not ended after {timeout:g} s: {some_of(still_open)}")
        sleep_s = max(PAUSE_S - took_s, POLL_SHARE * took_s)
        yield Sleep(sleep_s if deadline is None else min(sleep_s, deadline - now))


def _add_prerequisites(tracks: dict[JobName, Track]) -> _Asking:
    """Add what the jobs wait for, and what these wait for: once for each job, as soon as it is stored."""
    names = [
        name
        for name, track in tracks.items()
        if not track.walked and (track.is_named or track.status is not None)
    ]
    if not names:
        return
    rows = yield Prepared(partial(ask, "list_watched_prerequisites", **name_arrays(names)))
    for partition_id, job_id, stored in rows:
        name = JobName(partition_id, job_id)
        track = tracks.setdefault(name, Track(name, is_named=False))
        track.walked = track.walked or stored


def _look(tracks: dict[JobName, Track]) -> _Asking:
    """Look at all jobs that have not ended for good.

    :raises JobNotFound: one that was named is not stored, and had not ended.
    """
    for track in tracks.values():
        track.changed = False
    names = [name for name, track in tracks.items() if not track.is_final]
    rows = yield Prepared(partial(ask, "find_watched_jobs", **name_arrays(names)))
    now_s, time_ms = time.monotonic(), time.time_ns() // 1_000_000
    missing = dict.fromkeys(names)
    for position, *columns in rows:
        name = names[position]
        del missing[name]
        tracks[name].find(time_ms, now_s, _read(columns))
    for name in missing:
        tracks[name].miss(time_ms)
    lost = [name for name in missing if tracks[name].is_named and not tracks[name].ended]
    if lost:
        raise not_found(lost)


def _read(columns: Sequence[Any]) -> _Found:
    # The fold's code takes a while to load, and few verbs need it.
    from tracker.store.sibling_tasks import read_tasks

    status, percentage, attempt, tasks, is_estimate = columns
    root = None if tasks is None else read_tasks("", tasks).get(0)
    completed_tasks = root[0].completed_children if root is not None and root[0].highest_child else None
    return _Found(STATUSES[status], percentage, attempt, is_estimate, completed_tasks)
