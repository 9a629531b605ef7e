"""The verbs that change jobs: pause, resume, delete, what they share with cancel; and those of partition IDs.

Each verb locks its jobs in key order, then what belongs to them in the order that every transaction keeps
(edges, outbox, task messages), and then changes all of them in one statement.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tracker.errors import JobRefused
from tracker.identifiers import JobName
from tracker.job_status import STATUSES, JobStatus
from tracker.jobs.action import Action
from tracker.jobs.arguments import check_several
from tracker.jobs.job import ChangedJob, JobReference, PartitionState
from tracker.jobs.query import not_found, read_names
from tracker.jobs.validation import read_partition_id, some_of
from tracker.store.arrays import key_arrays, name_arrays
from tracker.store.steps import Prepared, Row, Verb, ask

Jobs = JobReference | Iterable[JobReference]
Key = tuple[int, int]
"""Of a job: its tenant_key and job_key."""


@dataclass(frozen=True)
class Change:
    """What a verb does to jobs, and to which."""

    verb: str
    statement: str
    lock: tuple[str, ...]  # statements
    changes: frozenset[JobStatus]  # jobs of these statuses are changed
    leaves: frozenset[JobStatus]  # jobs of these stay as they are; jobs of any other status are refused
    refusal: str
    wakes_scheduler: bool = False


CANCEL = Change(
    verb="cancel",
    statement="cancel_jobs",
    lock=("lock_edges_of_jobs", "lock_outbox_of_jobs", "lock_task_messages", "lock_resumed_jobs"),
    changes=frozenset({JobStatus.WAITING, JobStatus.ACTIVE, JobStatus.PAUSED}),
    leaves=frozenset({JobStatus.CANCELLED}),
    refusal="cannot be cancelled",
)
PAUSE = Change(
    verb="pause",
    statement="pause_jobs",
    lock=("lock_task_messages",),
    changes=frozenset({JobStatus.WAITING, JobStatus.ACTIVE}),
    leaves=frozenset({JobStatus.PAUSED}),
    refusal="cannot be paused",
)
RESUME = Change(
    verb="resume",
    statement="resume_jobs",
    lock=("lock_task_messages",),
    changes=frozenset({JobStatus.PAUSED}),
    leaves=frozenset({JobStatus.WAITING, JobStatus.ACTIVE}),
    refusal="cannot be resumed",
    wakes_scheduler=True,
)
DELETE = Change(
    verb="delete",
    statement="delete_jobs",
    lock=("lock_edges_of_jobs", "lock_outbox_of_jobs", "lock_task_messages", "lock_resumed_jobs"),
    changes=frozenset(STATUSES),
    leaves=frozenset(),
    refusal="",
)


def pause(jobs: Jobs, *, skip_ended: bool = False) -> Prepared[list[ChangedJob]]:
    """Pause jobs, all or none; jobs that are paused already stay as they are.

    With `skip_ended`, jobs that have ended are left out, also of the answer.

    :raises JobNotFound: one is not stored.
    :raises JobRefused: one has ended.
    """
    return prepare_change(PAUSE, jobs, skip_ended=skip_ended)


def resume(jobs: Jobs, *, skip_ended: bool = False) -> Prepared[list[ChangedJob]]:
    """Make paused jobs Active, all or none, and have their held messages sent; other jobs stay as they are.

    With `skip_ended`, jobs that have ended are left out, also of the answer.

    :raises JobNotFound: one is not stored.
    :raises JobRefused: one has ended.
    """
    return prepare_change(RESUME, jobs, skip_ended=skip_ended)


def delete(jobs: Jobs) -> Prepared[list[ChangedJob]]:
    """Delete jobs of any status, all or none, with everything that belongs to them.

    Jobs that wait for them keep waiting, as for jobs that do not exist yet.

    :raises JobNotFound: one is not stored.
    """
    return prepare_change(DELETE, jobs)


def suspend_partition(partition_id: str | Iterable[str]) -> Prepared[list[str]]:
    """Suspend partition IDs: their jobs are stored and not sent. A partition ID need not have any jobs yet.

    Returns the partition IDs that were not suspended before.
    """
    return Prepared(partial(_suspend, _read_partition_ids(partition_id)))


def _suspend(partition_ids: list[str]) -> Verb[list[str]]:
    yield from ask("add_tenants", partition_ids=partition_ids)
    rows = yield from ask("suspend_partitions", partition_ids=partition_ids, suspended=True)
    return sorted(row[0] for row in rows)


def resume_partition(partition_id: str | Iterable[str]) -> Prepared[list[str]]:
    """Resume partition IDs: their jobs are sent again, with those that were stored in the meantime.

    Returns the partition IDs that were suspended.
    """
    return Prepared(partial(_resume, _read_partition_ids(partition_id)))


def _resume(partition_ids: list[str]) -> Verb[list[str]]:
    rows = yield from ask("suspend_partitions", partition_ids=partition_ids, suspended=False)
    if rows:
        yield from ask("notify_scheduler")
    return sorted(row[0] for row in rows)


def list_partitions() -> Prepared[list[PartitionState]]:
    """Return all partition IDs that have been used, and whether they are suspended."""
    return Prepared(_list_partitions)


def _list_partitions() -> Verb[list[PartitionState]]:
    rows = yield from ask("list_partitions")
    return [PartitionState(partition_id=row[0], suspended=row[1]) for row in rows]


def prepare_change(change: Change, jobs: Jobs, *, skip_ended: bool = False) -> Prepared[list[ChangedJob]]:
    """Return the verb that changes named jobs, all or none."""
    return Prepared(partial(_change, change, read_names(jobs), skip_ended=skip_ended))


def _change(change: Change, names: list[JobName], *, skip_ended: bool) -> Verb[list[ChangedJob]]:
    found = yield from lock_named(names)
    return (yield from change_locked(change, names, found, skip_ended=skip_ended))


LockedJobs = Mapping[JobName, tuple[Key, JobStatus]]


def change_locked(
    change: Change, names: Sequence[JobName], found: LockedJobs, *, skip_ended: bool
) -> Verb[list[ChangedJob]]:
    """Change locked jobs: the named ones, all or none, and then the others.

    :raises JobNotFound: a named one is not among them.
    :raises JobRefused: the status of a named one does not allow it.
    """
    missing = [name for name in names if name not in found]
    if missing:
        raise not_found(missing)
    refused = [name for name in names if found[name][1] not in change.changes | change.leaves]
    if refused and not skip_ended:
        raise JobRefused(f"{change.refusal}: {some_of([f'{name} is {found[name][1]}' for name in refused])}")
    keys = {key: name for name, (key, status) in found.items() if status in change.changes}
    rows: list[Row] = []
    if keys:
        action_key = yield from Action(change.verb).note(len(keys))
        rows = yield from carry_out(change, list(keys), action_key)
    dropped = {keys[tenant_key, job_key]: messages for tenant_key, job_key, messages in rows}
    changed, left_out = set(keys.values()), set(refused)
    return [
        ChangedJob(
            partition_id=name.partition_id,
            id=name.job_id,
            changed=name in changed,
            dropped_messages=dropped.get(name, 0),
        )
        for name in [*names, *sorted(found.keys() - set(names))]
        if name not in left_out
    ]


def carry_out(change: Change, keys: Sequence[Key], action_key: int) -> Verb[list[Row]]:
    """Change locked jobs, and return how many held messages of each were dropped, if any were."""
    arrays = key_arrays(keys)
    for locking in change.lock:
        yield from ask(locking, **arrays)
    rows = yield from ask(change.statement, **arrays, action_key=action_key)
    if change.wakes_scheduler:
        yield from ask("notify_scheduler")
    return rows


def lock_named(names: Sequence[JobName]) -> Verb[LockedJobs]:
    """Lock those of the jobs that are stored, and return their keys and statuses."""
    rows = yield from ask("lock_named_jobs", **name_arrays(names))
    return {names[position]: ((tenant, key), STATUSES[status]) for position, tenant, key, status in rows}


def _read_partition_ids(partition_id: str | Iterable[str]) -> list[str]:
    texts = dict.fromkeys(check_several("partition IDs", partition_id))
    return [read_partition_id(text) for text in texts]
