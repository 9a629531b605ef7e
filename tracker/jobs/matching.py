"""The verbs that change all jobs that match a filter, in steps: each is a transaction of a few thousand jobs.

A step finds the next jobs in an order that no change alters, locks them in the order of their keys, and
changes those that still match. What is done so far is kept apart from the generator that does it: if a step
conflicts with other transactions, only this step is done again.

Jobs that are submitted meanwhile do not count, so that there is an end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tracker.errors import InvalidQuery
from tracker.identifiers import JobName
from tracker.job_filter import HasStatus, JobFilter, follows_edges
from tracker.job_status import STATUSES, JobStatus
from tracker.jobs.action import Action
from tracker.jobs.change import CANCEL, DELETE, Change, carry_out
from tracker.jobs.job import ChangeCount
from tracker.jobs.retry import retry_found
from tracker.jobs.walk import FoundJob, JobWalk, begin_walk, until_now
from tracker.store import conditions
from tracker.store.arrays import key_arrays
from tracker.store.steps import Commit, Prepared, Verb, ask

STEP_JOBS = 2_000
_NOTHING = ChangeCount(matched=0, changed=0, skipped=0)

OnStep = Callable[[ChangeCount], bool]
"""Is called between two steps with what is done; returns whether to continue."""


OnChange = Callable[[Sequence[JobName], int], Verb[None]]
"""Is run within each step, with the jobs that it has changed and the key of the action."""


def change_matching(
    change: Change,
    wanted: JobFilter,
    on_step: OnStep | None = None,
    on_change: OnChange | None = None,
    *,
    described: str,
) -> Prepared[ChangeCount]:
    """Change all jobs that match; those whose status does not allow it are skipped, and counted.

    `described`: the filter, as it was given.

    :raises InvalidQuery: the change would remove what the filter follows, and later steps would miss jobs.
    """
    if change in (CANCEL, DELETE) and follows_edges(wanted):
        raise InvalidQuery(
            "jobs that wait for another one, directly or not, are not found any more once some of them are"
            f" {'cancelled' if change is CANCEL else 'deleted'}; to cancel all of them at once: tracker job"
            " cancel --cascade JOB"
        )
    asked = _Asked(wanted, change.changes, partial(_change_found, change, on_change), on_step)
    return Prepared(partial(_run, _Progress(Action(change.verb, described)), asked))


def retry_matching(
    wanted: JobFilter, on_step: OnStep | None = None, *, described: str
) -> Prepared[ChangeCount]:
    """Start all failed jobs again that match, the oldest first.

    Those that cannot be are skipped, and counted: what they wait for has failed or was cancelled, and is not
    started again before them; or their task message is not stored.
    """
    asked = _Asked(wanted, frozenset({JobStatus.FAILED}), _retry_found, on_step)
    return Prepared(partial(_run, _Progress(Action("retry", described)), asked))


_Done = tuple[int, int, int | None]
"""How many jobs match, how many were changed, and the key of the action, if there is one by now."""


@dataclass(frozen=True)
class _Asked:
    wanted: JobFilter
    changes: frozenset[JobStatus]
    act: Callable[[Sequence[FoundJob], JobFilter, Action], Verb[_Done]]
    on_step: OnStep | None


@dataclass
class _Progress:
    """What is committed."""

    action: Action
    rest: JobWalk | None = None  # None: nothing was begun
    counts: ChangeCount = _NOTHING


def _run(progress: _Progress, asked: _Asked) -> Verb[ChangeCount]:
    rest = progress.rest
    if rest is None:
        rest, skipped = yield from _begin(asked)
        yield Commit()
        progress.rest = rest
        progress.counts = ChangeCount(matched=skipped, changed=0, skipped=skipped)
    while True:
        yield from ask("compile_nothing")
        found, after = yield from rest.find(STEP_JOBS)
        matched, changed, action_key = 0, 0, progress.action.key
        if found:
            matched, changed, action_key = yield from asked.act(found, rest.wanted, progress.action)
        yield Commit()
        progress.action = replace(progress.action, key=action_key)
        counts = progress.counts = ChangeCount(
            matched=progress.counts.matched + matched,
            changed=progress.counts.changed + changed,
            skipped=progress.counts.skipped + matched - changed,
        )
        if after is None:
            return counts
        progress.rest = rest = after
        if asked.on_step is not None and not asked.on_step(counts):
            return counts


def _begin(asked: _Asked) -> Verb[tuple[JobWalk, int]]:
    """Return how to walk through the jobs that can be changed, and how many others match."""
    yield from ask("compile_nothing")
    wanted = yield from until_now(asked.wanted)
    others = tuple(status for status in STATUSES if status not in asked.changes)
    skipped = 0
    if conditions.can_have(wanted, others):
        ((skipped,),) = yield conditions.count_jobs(wanted & HasStatus(others))
    if others:
        wanted &= HasStatus(tuple(status for status in STATUSES if status in asked.changes))
    return (yield from begin_walk(wanted)), skipped


def _change_found(
    change: Change,
    on_change: OnChange | None,
    found: Sequence[FoundJob],
    wanted: JobFilter,
    action: Action,
) -> Verb[_Done]:
    locked = yield conditions.lock_matching_jobs(wanted, key_arrays(job.key for job in found))
    if not locked:
        return 0, 0, action.key
    action_key = yield from action.note(len(locked))
    keys = [(tenant_key, job_key) for tenant_key, job_key in locked]
    yield from carry_out(change, keys, action_key)
    if on_change is not None:
        changed = set(keys)
        yield from on_change([job.name for job in found if job.key in changed], action_key)
    return len(locked), len(locked), action_key


def _retry_found(found: Sequence[FoundJob], wanted: JobFilter, action: Action) -> Verb[_Done]:
    return (yield from retry_found([job.name for job in found], wanted, action))
