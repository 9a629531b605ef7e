"""The verbs that change jobs: cancel, pause, resume, delete; and those that suspend partition IDs.

Each verb locks its jobs in key order, then what belongs to them in the order that every transaction keeps
(edges, outbox, task messages), and then changes all of them in one statement.
"""

from collections.abc import Collection, Iterable
from functools import partial
from typing import NotRequired, TypedDict, Unpack

from tracker.errors import JobRefused
from tracker.identifiers import JobName
from tracker.job_status import STATUSES, JobStatus
from tracker.jobs.arguments import check_several
from tracker.jobs.job import ChangedJob, JobReference, PartitionState
from tracker.jobs.query import not_found, read_names
from tracker.jobs.validation import read_partition_id, some_of
from tracker.store.arrays import key_arrays, name_arrays
from tracker.store.steps import Prepared, Verb, ask

Jobs = JobReference | Iterable[JobReference]


def cancel(jobs: Jobs) -> Prepared[list[ChangedJob]]:
    """Cancel jobs, all or none; jobs that are cancelled already stay as they are.

    Their held messages are dropped. Jobs that wait for them keep waiting.

    :raises JobNotFound: one is not stored.
    :raises JobRefused: one has failed or completed.
    """
    return _prepare(
        jobs,
        statement="cancel_jobs",
        lock=("lock_edges_of_jobs", "lock_outbox_of_jobs", "lock_task_messages", "lock_resumed_jobs"),
        changes={JobStatus.WAITING, JobStatus.ACTIVE, JobStatus.PAUSED},
        leaves={JobStatus.CANCELLED},
        refusal="cannot be cancelled",
    )


def pause(jobs: Jobs) -> Prepared[list[ChangedJob]]:
    """Pause jobs, all or none; jobs that are paused already stay as they are.

    :raises JobNotFound: one is not stored.
    :raises JobRefused: one has ended.
    """
    return _prepare(
        jobs,
        statement="pause_jobs",
        lock=("lock_task_messages",),
        changes={JobStatus.WAITING, JobStatus.ACTIVE},
        leaves={JobStatus.PAUSED},
        refusal="cannot be paused",
    )


def resume(jobs: Jobs) -> Prepared[list[ChangedJob]]:
    """Make paused jobs Active, all or none, and have their held messages sent; other jobs stay as they are.

    :raises JobNotFound: one is not stored.
    :raises JobRefused: one has ended.
    """
    return _prepare(
        jobs,
        statement="resume_jobs",
        lock=("lock_task_messages",),
        changes={JobStatus.PAUSED},
        leaves={JobStatus.WAITING, JobStatus.ACTIVE},
        refusal="cannot be resumed",
        wakes_scheduler=True,
    )


def delete(jobs: Jobs) -> Prepared[list[ChangedJob]]:
    """Delete jobs of any status, all or none, with everything that belongs to them.

    Jobs that wait for them keep waiting, as for jobs that do not exist yet.

    :raises JobNotFound: one is not stored.
    """
    return _prepare(
        jobs,
        statement="delete_jobs",
        lock=("lock_edges_of_jobs", "lock_outbox_of_jobs", "lock_task_messages", "lock_resumed_jobs"),
        changes=STATUSES,
        leaves=(),
        refusal="",
    )


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


def _prepare(jobs: Jobs, **rules: Unpack["_Rules"]) -> Prepared[list[ChangedJob]]:
    return Prepared(partial(_change, read_names(jobs), **rules))


class _Rules(TypedDict):
    statement: str
    lock: Collection[str]  # statements
    changes: Collection[JobStatus]  # jobs of these statuses are changed
    leaves: Collection[JobStatus]  # jobs of these stay as they are; jobs of any other status are refused
    refusal: str
    wakes_scheduler: NotRequired[bool]


def _change(
    names: list[JobName],
    *,
    statement: str,
    lock: Collection[str],
    changes: Collection[JobStatus],
    leaves: Collection[JobStatus],
    refusal: str,
    wakes_scheduler: bool = False,
) -> Verb[list[ChangedJob]]:
    """Run `statement` for the jobs whose status is in `changes`; see `_Rules`."""
    found = yield from _lock(names)
    refused = [
        f"{name} is {status}" for name, (_, status) in found.items() if status not in (*changes, *leaves)
    ]
    if refused:
        raise JobRefused(f"{refusal}: {some_of(refused)}")
    keys = {key: name for name, (key, status) in found.items() if status in changes}
    dropped: dict[JobName, int] = {}
    if keys:
        arrays = key_arrays(keys)
        for locking in lock:
            yield from ask(locking, **arrays)
        rows = yield from ask(statement, **arrays)
        dropped = {keys[tenant_key, job_key]: messages for tenant_key, job_key, messages in rows}
        if wakes_scheduler:
            yield from ask("notify_scheduler")
    changed = set(keys.values())
    return [
        ChangedJob(
            partition_id=name.partition_id,
            id=name.job_id,
            changed=name in changed,
            dropped_messages=dropped.get(name, 0),
        )
        for name in names
    ]


def _lock(names: list[JobName]) -> Verb[dict[JobName, tuple[tuple[int, int], JobStatus]]]:
    """Lock jobs, and return their keys and statuses.

    :raises JobNotFound: one is not stored.
    """
    rows = yield from ask("lock_named_jobs", **name_arrays(names))
    found = {names[position]: ((tenant, key), STATUSES[status]) for position, tenant, key, status in rows}
    missing = [name for name in names if name not in found]
    if missing:
        raise not_found(missing)
    return found


def _read_partition_ids(partition_id: str | Iterable[str]) -> list[str]:
    texts = dict.fromkeys(check_several("partition IDs", partition_id))
    return [read_partition_id(text) for text in texts]
