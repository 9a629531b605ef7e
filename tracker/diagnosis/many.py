"""Why the jobs that match a filter stand where they stand: a reason of each, or how many have which."""

from collections.abc import Generator, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

from tracker.diagnosis.first_reasons import read_first_reasons
from tracker.diagnosis.reason import Reason, Why, WhySummary
from tracker.diagnosis.roots import read_first_roots
from tracker.diagnosis.standing import Standing, read_now
from tracker.diagnosis.summary import summarize
from tracker.diagnosis.why import answer
from tracker.job_filter import HasStatus, JobFilter
from tracker.job_status import STATUSES, JobStatus
from tracker.jobs.walk import ByAge, FoundJob, JobWalk, begin_walk, find_some, until_now
from tracker.store import conditions, locks
from tracker.store.steps import Feed, Prepared, Row, Sleep, Verb, ask

STEP_JOBS = 1_000
MOST_JOBS = 10_000  # of a summary
_OPEN = tuple(status for status in STATUSES if status is not JobStatus.COMPLETED)


class _Look(NamedTuple):
    """When it is looked, and what is so for all jobs."""

    now: datetime
    scheduler_is_active: bool


def why_matching(wanted: JobFilter) -> Feed[Why]:
    """Return each job that matches with its first reason.

    Those that have not completed come first, the oldest first. Kafka is not asked. Each thousand jobs are
    read in a transaction of their own. Jobs that are submitted meanwhile do not count.
    """
    return Feed(partial(_follow, wanted))


def summarize_matching(wanted: JobFilter) -> Prepared[WhySummary]:
    """Return how many jobs have which first reason, of the first 10,000 that match, in the same order."""
    return Prepared(partial(_summarize, wanted))


def _follow(wanted: JobFilter) -> Generator[Prepared[list[Row]] | Sleep | Sequence[Why], list[Row], None]:
    [walks] = yield Prepared(partial(_begin_walks, wanted))
    while walks:
        [(found, walks)] = yield Prepared(partial(_step, walks))
        yield found


def _begin_walks(wanted: JobFilter) -> Verb[list[Row]]:
    yield from ask("begin_snapshot")
    return [(yield from _walks(wanted))]


def _step(walks: tuple[JobWalk, ...]) -> Verb[list[Row]]:
    look = yield from _begin()
    found, rest = yield from _find(walks, STEP_JOBS)
    reasons = yield from read_first_reasons(
        [job.key for job in found], look.now, scheduler_is_active=look.scheduler_is_active
    )
    return [([answer(job, [reason], look.now) for job, reason in reasons], rest)]


def _summarize(wanted: JobFilter) -> Verb[WhySummary]:
    look = yield from _begin()
    found = yield from _find_first(wanted, MOST_JOBS + 1)
    keys = [job.key for job in found[:MOST_JOBS]]
    reasons: list[tuple[Standing, Reason]] = []
    for first in range(0, len(keys), STEP_JOBS):
        reasons += yield from read_first_reasons(
            keys[first : first + STEP_JOBS],
            look.now,
            scheduler_is_active=look.scheduler_is_active,
            counted=0,
        )
    waiting = [job.key for job, _ in reasons if job.is_waiting]
    roots = (yield from read_first_roots(waiting)) if waiting else {}
    return WhySummary(reasons=summarize(reasons, roots), jobs=len(reasons), has_more=len(found) > MOST_JOBS)


def _begin() -> Verb[_Look]:
    yield from ask("begin_snapshot")
    yield from ask("compile_nothing")
    now = yield from read_now()
    [(is_active,)] = yield from ask("is_scheduler_active", **{"class": locks.SCHEDULER})
    return _Look(now, is_active)


def _walks(wanted: JobFilter) -> Verb[tuple[JobWalk, ...]]:
    """Return how to go through the jobs: those that have not completed first, by their index."""
    wanted = yield from until_now(wanted)
    first = yield from begin_walk(wanted & HasStatus(_OPEN))
    if not isinstance(first, ByAge):  # it looks at all jobs anyway
        return ((yield from begin_walk(wanted)),)
    if not conditions.can_have(wanted, [JobStatus.COMPLETED]):
        return (first,)
    return first, (yield from begin_walk(wanted & HasStatus((JobStatus.COMPLETED,))))


def _find_first(wanted: JobFilter, limit: int) -> Verb[list[FoundJob]]:
    """Return the first jobs that match: those that have not completed in their order, others in any."""
    walk = yield from begin_walk(wanted & HasStatus(_OPEN))
    if not isinstance(walk, ByAge):
        return (yield from find_some(wanted, limit))
    found, _ = yield from walk.find(limit)
    if len(found) < limit and conditions.can_have(wanted, [JobStatus.COMPLETED]):
        completed = wanted & HasStatus((JobStatus.COMPLETED,))
        found += yield from find_some(completed, limit - len(found))
    return found


def _find(walks: tuple[JobWalk, ...], limit: int) -> Verb[tuple[list[FoundJob], tuple[JobWalk, ...]]]:
    """Return the next jobs, and how to go through the others."""
    found: list[FoundJob] = []
    while walks and len(found) < limit:
        more, rest = yield from walks[0].find(limit - len(found))
        found += more
        walks = walks[1:] if rest is None else (rest, *walks[1:])
    return found, walks
