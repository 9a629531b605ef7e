"""The verb that cancels, and what waits for jobs that were cancelled or deleted.

A cascade locks all that it cancels at once, in the order of the keys, before anything is changed: so no batch
and no submit comes in between.
"""

from functools import partial

from tracker.identifiers import JobName
from tracker.job_status import STATUSES
from tracker.jobs.change import CANCEL, Jobs, Key, LockedJobs, change_locked, prepare_change
from tracker.jobs.job import ChangedJob
from tracker.jobs.query import read_names
from tracker.store.arrays import key_arrays, name_arrays
from tracker.store.steps import Prepared, Row, Verb, ask

MOST_DEPENDENTS = 100_000  # counted


def cancel(jobs: Jobs, *, cascade: bool = False, skip_ended: bool = False) -> Prepared[list[ChangedJob]]:
    """Cancel jobs, all or none; jobs that are cancelled already stay as they are.

    Their held messages are dropped. Jobs that wait for them wait for ever; with `cascade`, those that have
    not ended are cancelled too, and what waits for these, and are returned after the named ones. With
    `skip_ended`, jobs that have failed or completed are left out, also of the answer.

    :raises JobNotFound: one is not stored.
    :raises JobRefused: one has failed or completed.
    """
    if not cascade:
        return prepare_change(CANCEL, jobs, skip_ended=skip_ended)
    return Prepared(partial(_cancel_downstream, read_names(jobs), skip_ended=skip_ended))


def count_dependents(jobs: Jobs) -> Prepared[int]:
    """Return how many jobs that have not ended wait for these, directly or not: 100,000 stands for more.

    The jobs themselves need not be stored.
    """
    return Prepared(partial(_count_dependents, read_names(jobs)))


def _cancel_downstream(names: list[JobName], *, skip_ended: bool) -> Verb[list[ChangedJob]]:
    found = yield from _lock_downstream(names)
    return (yield from change_locked(CANCEL, names, found, skip_ended=skip_ended))


def _lock_downstream(names: list[JobName]) -> Verb[LockedJobs]:
    """Lock the jobs, and what is downstream of them and has not ended.

    They are found before they are locked. So they are looked for again under the locks, and if a submit has
    added one meanwhile, the locks are taken once more: all at once, in one order. After that none can be
    added, because a submit takes share locks on prerequisites.
    """
    yield from ask("set_savepoint")
    while True:
        keys = yield from _find(names)
        locked: list[Row] = yield from ask("lock_jobs", **key_arrays(keys))
        found = set((yield from _find(names)))
        if found <= set(keys):
            break
        yield from ask("roll_back_to_savepoint")
    return {
        JobName(partition_id, job_id): ((tenant_key, job_key), STATUSES[status])
        for tenant_key, job_key, partition_id, job_id, status in locked
        if (tenant_key, job_key) in found
    }


def _find(names: list[JobName]) -> Verb[list[Key]]:
    rows = yield from ask("find_jobs_to_cancel", **name_arrays(names))
    return [(tenant_key, job_key) for tenant_key, job_key in rows]


def _count_dependents(names: list[JobName]) -> Verb[int]:
    ((count,),) = yield from ask("count_downstream", **name_arrays(names), limit=len(names) + MOST_DEPENDENTS)
    return min(int(count), MOST_DEPENDENTS)
