"""The verbs that change what a stored job waits for. Its content stays as it was submitted.

Both lock the job, then its edges and its task message, in the order of every transaction. A batch that meets
a prerequisite of it at the same moment has counted it down before, or finds the edge gone; the scheduler has
sent it before, which refuses the change, or sends it after that.

An edge is added under the locks with which a submit ends (see `tracker.jobs.prerequisites`), and under the
lock of the prerequisite. So no other transaction closes a cycle meanwhile, or stores, completes, fails or
cancels the prerequisite without one of the two seeing the other.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tracker.errors import InvalidQuery, JobRefused
from tracker.identifiers import JobName
from tracker.job_status import JobStatus
from tracker.jobs.action import Action
from tracker.jobs.arguments import check_several
from tracker.jobs.change import Key, LockedJobs, lock_named
from tracker.jobs.fields import InvalidField, check_prerequisites
from tracker.jobs.job import ChangedPrerequisites, JobReference
from tracker.jobs.prerequisites import NOT_TO_WAIT_FOR, named, refuse_cycle
from tracker.jobs.query import not_found
from tracker.jobs.validation import find_unstorable, read_job_name, some_of
from tracker.jobs.warnings import waits_for
from tracker.store import locks
from tracker.store.arrays import key_arrays
from tracker.store.steps import Prepared, Verb, ask


def release(job: JobReference) -> Prepared[ChangedPrerequisites]:
    """Have a job sent although prerequisites are unmet: it no longer waits for them, and they are returned.

    It is still not sent while it is paused or its partition ID is suspended, and its delay begins now. A job
    that waits for no other stays as it is.

    :raises JobNotFound: no job has this name.
    :raises JobRefused: it has ended.
    """
    return Prepared(partial(_release, read_job_name(job)))


def change_prerequisites(
    job: JobReference, *, add: str | Iterable[str] = (), remove: str | Iterable[str] = ()
) -> Prepared[ChangedPrerequisites]:
    """Change what a job that has not been sent waits for; `add` and `remove` are job IDs, as in `NewJob`.

    If it waits for nothing else, it is sent as if its last prerequisite had completed. One that is added and
    has completed does not count, and neither does one that is removed and that the job did not wait for.

    :raises JobNotFound: no job has this name.
    :raises JobRefused: it has been sent or has ended, one that is added has failed or was cancelled, or it
        would close a cycle.
    :raises InvalidQuery: a job ID is malformed, or both added and removed, or there is none.
    """
    name = read_job_name(job)
    added, removed = _read_ids(name, add), _read_ids(name, remove)
    both = [job_id for job_id in added if job_id in removed]
    if both:
        raise InvalidQuery(f"both added and removed: {some_of(both)}")
    if not added and not removed:
        raise InvalidQuery("no prerequisite is given to add or to remove")
    return Prepared(partial(_change, name, added, removed))


@dataclass(frozen=True)
class _Locked:
    """A job whose rows are locked."""

    name: JobName
    key: Key
    unmet: Sequence[str]  # job IDs
    is_sent: bool


def _read_ids(name: JobName, given: object) -> dict[str, bool]:
    """Return job IDs, and whether each counts as completed if it does not exist."""
    texts = [
        # The whole name of a job is what `tracker job why` prints.
        text.removeprefix(f"{name.partition_id}:") if isinstance(text, str) else text
        for text in check_several("prerequisites", given)
    ]
    try:
        found = check_prerequisites(texts)
    except InvalidField as error:
        raise InvalidQuery(str(error)) from None
    for job_id in found:
        if find_unstorable(job_id) is not None:
            raise InvalidQuery(f"the prerequisite {job_id!a} has a NUL, or half a character")
    return found


def _release(name: JobName) -> Verb[ChangedPrerequisites]:
    found = yield from lock_named([name])
    job = yield from _lock_rows(name, found, "cannot be released")
    if not job.unmet:
        return _answer(job, [], [])
    yield from _write(job, [], job.unmet, Action("release", ", ".join(job.unmet)))
    return _answer(job, [], job.unmet)


def _change(name: JobName, add: Mapping[str, bool], remove: Collection[str]) -> Verb[ChangedPrerequisites]:
    others = [JobName(name.partition_id, job_id) for job_id in add if job_id != name.job_id]
    tenant_keys: dict[str, int] = {}
    if add:
        tenant_keys = yield from _lock_tenant(name)
    found = yield from lock_named([name, *others])
    job = yield from _lock_rows(name, found, "its prerequisites cannot be changed")
    if job.is_sent:
        raise JobRefused(f"{name} has been sent already")
    statuses = {other: found[other][1] for other in others if other in found}
    _refuse_failed_and_cancelled(name, statuses)
    removed = [job_id for job_id in job.unmet if job_id in remove]
    added = [job_id for job_id in _unmet(name, add, statuses) if job_id not in job.unmet]
    if added:
        yield from _refuse_cycle(name, added, tenant_keys)
    if not added and not removed:
        return _answer(job, added, removed)
    options = [f"--add {job_id}" for job_id in added] + [f"--remove {job_id}" for job_id in removed]
    yield from _write(job, added, removed, Action("prerequisites", " ".join(options)))
    missing = [other for other in others if other.job_id in added and other not in statuses]
    return _answer(job, added, removed, tuple(waits_for(other, None) for other in missing))


def _lock_tenant(name: JobName) -> Verb[dict[str, int]]:
    """Take the lock of a submit whose jobs wait for stored jobs, before any job is locked."""
    rows = yield from ask("find_tenants", partition_ids=[name.partition_id])
    if not rows:
        raise not_found([name])
    yield from ask("reach_rows_by_index")
    ((_, tenant_key),) = rows
    yield from ask(
        "lock_tenants_for_submit",
        **{"class": locks.PREREQUISITES, "keys": [locks.prerequisites_key(tenant_key)], "alone": [True]},
    )
    return dict(rows)


def _lock_rows(name: JobName, found: LockedJobs, refusal: str) -> Verb[_Locked]:
    """Lock what belongs to a locked job.

    :raises JobNotFound: it is not stored.
    :raises JobRefused: it has ended.
    """
    if name not in found:
        raise not_found([name])
    key, status = found[name]
    if status.ended:
        raise JobRefused(f"{refusal}: {name} is {status}")
    arrays = key_arrays([key])
    edges = yield from ask("lock_edges_of_jobs", **arrays)
    tasks = yield from ask("lock_task_messages", **arrays)
    # A job without a task message was sent by an earlier version.
    return _Locked(name, key, [job_id for *_, job_id in edges], all(is_sent for *_, is_sent in tasks))


def _refuse_failed_and_cancelled(name: JobName, statuses: Mapping[JobName, JobStatus]) -> None:
    for refused, what in NOT_TO_WAIT_FOR.items():
        others = [f"{other}, for {name}" for other, status in statuses.items() if status is refused]
        if others:
            raise JobRefused(f"a prerequisite {what}: {some_of(others, '; ')}")


def _unmet(name: JobName, add: Mapping[str, bool], statuses: Mapping[JobName, JobStatus]) -> list[str]:
    """Return those of the jobs to be added that the job must wait for."""
    unmet = []
    for job_id, may_be_gone in add.items():
        status = statuses.get(JobName(name.partition_id, job_id))
        counts_as_completed = may_be_gone if status is None else status is JobStatus.COMPLETED
        if job_id == name.job_id or not counts_as_completed:
            unmet.append(job_id)
    return unmet


def _refuse_cycle(name: JobName, added: Sequence[str], tenant_keys: Mapping[str, int]) -> Verb[None]:
    """Refuse a cycle: it runs through a new edge, and through a job that waits for this one.

    :raises JobRefused: there is one; the text names its jobs.
    """
    new = [JobName(name.partition_id, job_id) for job_id in added]
    no_keys = {"first_keys": [0], "last_keys": [0]}  # the new edges are not stored yet, so all count
    awaited = yield from ask("find_awaited_jobs", **named([name], tenant_keys), **no_keys)
    if not awaited and name not in new:
        return
    graph = {name: new}
    rows = yield from ask("list_prerequisites_above", **named(new, tenant_keys))
    for _, dependent, prerequisite in rows:
        if dependent != name.job_id:
            waiting = graph.setdefault(JobName(name.partition_id, dependent), [])
            waiting.append(JobName(name.partition_id, prerequisite))
    refuse_cycle(graph, JobRefused)


def _write(job: _Locked, added: Sequence[str], removed: Sequence[str], action: Action) -> Verb[None]:
    action_key = yield from action.note(1)
    tenant_key, job_key = job.key
    yield from ask(
        "change_prerequisites",
        tenant_key=tenant_key,
        job_key=job_key,
        added_job_ids=list(added),
        removed_job_ids=list(removed),
        action_key=action_key,
    )
    yield from ask("notify_scheduler")


def _answer(
    job: _Locked, added: Sequence[str], removed: Sequence[str], warnings: tuple[str, ...] = ()
) -> ChangedPrerequisites:
    return ChangedPrerequisites(
        partition_id=job.name.partition_id,
        id=job.name.job_id,
        added=list(added),
        removed=list(removed),
        unmet=len(job.unmet) + len(added) - len(removed),
        warnings=warnings,
    )
