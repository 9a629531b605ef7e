"""The verb that starts failed jobs again.

A retried job gets a new key, and with it a new run marker: messages of its earlier run that still come are
dropped as stale. It waits again for each prerequisite that has not completed. Those are locked together with
the job, so that no batch completes or fails one of them meanwhile.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from tracker.errors import JobRefused
from tracker.identifiers import JobName
from tracker.job_filter import JobFilter
from tracker.job_status import STATUSES, JobStatus
from tracker.jobs.action import Action
from tracker.jobs.change import Jobs, Key
from tracker.jobs.job import ChangedJob
from tracker.jobs.query import find_statuses, not_found, read_names
from tracker.jobs.validation import some_of
from tracker.store import conditions
from tracker.store.arrays import key_arrays, name_arrays
from tracker.store.steps import Prepared, Verb, ask


def retry(jobs: Jobs, *, cascade: bool = False, skip_ended: bool = False) -> Prepared[list[ChangedJob]]:
    """Start failed jobs again, all or none: they become Waiting, and are sent once more.

    With `cascade`, so do the jobs that have failed by propagation from them, which are returned after the
    named ones. One of them that also waits for another job that has failed or was cancelled stays as it is.
    With `skip_ended`, jobs that have not failed are left out, also of the answer.

    :raises JobNotFound: one is not stored.
    :raises JobRefused: one has not failed, or waits for a job that has failed or was cancelled, or its task
        message is not stored, because an earlier version has sent it.
    """
    return Prepared(partial(_retry, read_names(jobs), cascade, skip_ended))


def require_not_ended(jobs: Jobs) -> Prepared[list[JobName]]:
    """Return the names of jobs of which dead letters can be sent again: those that have not ended.

    :raises JobNotFound: one is not stored.
    :raises JobRefused: one has ended.
    """
    return Prepared(partial(_require_not_ended, read_names(jobs)))


def _require_not_ended(names: list[JobName]) -> Verb[list[JobName]]:
    statuses = yield from find_statuses(names)
    ended = [name for name in names if statuses[name].ended]
    if not ended:
        return names
    described = some_of([f"{name} is {statuses[name]}" for name in ended])
    failed = [name for name in ended if statuses[name] is JobStatus.FAILED]
    others = [name for name in ended if statuses[name] is not JobStatus.FAILED]
    ways = [f"`tracker job retry {failed[0]}` starts a failed one again"] if failed else []
    if others:
        drop = f"`tracker dead-letters drop --all-matching --job {others[0]}`"
        ways.append(f"{drop} takes what nobody needs any more out of the list")
    raise JobRefused(
        f"the dead letters of a job that has ended are not sent again: {described}; {', and '.join(ways)}"
    )


@dataclass(frozen=True)
class _Candidate:
    """A locked job, and what decides whether it can be retried."""

    key: Key
    status: JobStatus
    has_task_message: bool
    obstacles: frozenset[JobName]  # prerequisites that have failed or were cancelled

    @property
    def is_failed(self) -> bool:
        """Whether its status allows a retry."""
        return self.status is JobStatus.FAILED


_Candidates = Mapping[JobName, _Candidate]


def _retry(names: list[JobName], cascade: bool, skip_ended: bool) -> Verb[list[ChangedJob]]:
    candidates = yield from _lock(names, cascade)
    if skip_ended:
        names = [name for name in names if name not in candidates or candidates[name].is_failed]
    left = _left(candidates)
    _refuse(names, candidates, left)
    others = sorted(candidates.keys() - left - set(names))
    yield from _start_again([candidates[name].key for name in [*names, *others]], Action("retry"))
    return [
        ChangedJob(partition_id=name.partition_id, id=name.job_id, changed=True) for name in [*names, *others]
    ]


def retry_found(names: list[JobName], wanted: JobFilter, action: Action) -> Verb[tuple[int, int, int | None]]:
    """Start those of some jobs again that still match and can be.

    Returns how many match, how many were started, and the key of the action, if there is one by now.
    """
    candidates = yield from _lock(names, cascade=False)
    keys = key_arrays(candidate.key for candidate in candidates.values())
    matching = yield conditions.lock_matching_jobs(wanted, keys)
    still = {(tenant_key, job_key) for tenant_key, job_key in matching}
    # One that stays as it is, because it no longer matches, is an obstacle to those that wait for it.
    candidates = {name: each for name, each in candidates.items() if each.key in still}
    chosen = [candidates[name].key for name in candidates.keys() - _left(candidates)]
    action_key = yield from _start_again(chosen, action)
    return len(candidates), len(chosen), action_key


def _start_again(keys: list[Key], action: Action) -> Verb[int | None]:
    """Start locked jobs again, and return the key of the action, if there is one by now."""
    if not keys:
        return action.key
    action_key = yield from action.note(len(keys))
    arrays = key_arrays(keys)
    for lock in ("lock_edges_of_jobs", "lock_outbox_of_jobs", "lock_task_messages", "lock_resumed_jobs"):
        yield from ask(lock, **arrays)
    yield from ask("retry_jobs", **arrays, action_key=action_key)
    yield from ask("notify_scheduler")
    return action_key


def _lock(names: list[JobName], cascade: bool) -> Verb[_Candidates]:
    """Lock the jobs, those to which a retry cascades, and what all of them wait for.

    They are found before they are locked. So they are looked for again under the locks, and if a batch has
    failed more of them meanwhile, the locks are taken once more: all at once, in one order.
    """
    yield from ask("set_savepoint")
    while True:
        keys = yield from _find(names, cascade)
        yield from ask("lock_jobs_to_retry", **key_arrays(keys))
        found = yield from _find(names, cascade)
        if found <= keys:
            break
        yield from ask("roll_back_to_savepoint")
    rows = yield from ask("describe_jobs_to_retry", **key_arrays(found))
    return {
        JobName(partition_id, job_id): _Candidate(
            (tenant_key, job_key),
            STATUSES[status],
            has_task_message,
            frozenset(JobName(partition_id, obstacle) for obstacle in obstacle_job_ids),
        )
        for tenant_key, job_key, partition_id, job_id, status, has_task_message, obstacle_job_ids in rows
    }


def _find(names: list[JobName], cascade: bool) -> Verb[set[Key]]:
    """Return the keys of the jobs that are stored, and of those to which a retry cascades."""
    rows = yield from ask("find_jobs_to_retry", **name_arrays(names), cascade=cascade)
    return {(tenant_key, job_key) for tenant_key, job_key in rows}


def _refuse(names: list[JobName], candidates: _Candidates, left: set[JobName]) -> None:
    """Refuse all of the named jobs if one cannot be retried."""
    missing = [name for name in names if name not in candidates]
    if missing:
        raise not_found(missing)
    refused = [f"{name} is {candidates[name].status}" for name in names if not candidates[name].is_failed]
    if refused:
        raise JobRefused(f"only jobs that have failed can be retried: {some_of(refused)}")
    unsent = [str(name) for name in names if not candidates[name].has_task_message]
    if unsent:
        raise JobRefused(
            "an earlier version has sent these jobs, and their task messages are not stored: "
            f"{some_of(unsent)}; delete them, and submit them again"
        )
    waiting = [
        f"{obstacle}, for {name}"
        for name in names
        for obstacle in sorted(candidates[name].obstacles)
        if obstacle not in candidates or obstacle in left
    ]
    if waiting:
        raise JobRefused(
            f"a prerequisite has failed or was cancelled: {some_of(waiting, '; ')};"
            " retry it with --cascade (cascade=True) to retry what failed because of it too"
        )


def _left(candidates: _Candidates) -> set[JobName]:
    """Return the candidates that cannot be retried: an obstacle of theirs is not retried with them."""
    dependents: dict[JobName, list[JobName]] = {}
    for name, candidate in candidates.items():
        for obstacle in candidate.obstacles:
            dependents.setdefault(obstacle, []).append(name)
    left = {
        name
        for name, candidate in candidates.items()
        if not candidate.is_failed or not candidate.has_task_message
    }
    to_visit = [*left, *(obstacle for obstacle in dependents if obstacle not in candidates)]
    while to_visit:
        for dependent in dependents.get(to_visit.pop(), ()):
            if dependent not in left:
                left.add(dependent)
                to_visit.append(dependent)
    return left
