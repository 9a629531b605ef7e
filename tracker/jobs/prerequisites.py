"""What new jobs wait for: read without a lock first, and again under the locks with which a submit ends.

To store 300,000 jobs takes seconds, and no other transaction should wait that long. So a submit first stores
its rows, which no other transaction sees yet, by the prerequisites that it has read. Then it takes its locks,
checks whether that still holds, and commits. The work under the locks does not grow with the number of new
jobs, only with the number of different stored jobs that they wait for: 10 µs for each, so 0.3 s for 30,000 of
them.

What the locks are for:

- A batch that completes or fails a prerequisite. The prerequisites' rows are share-locked before their status
  is read for the last time, and until the edges are committed: either the submit sees what the batch has
  done, or the batch sees the edges.
- Another submit. Each ends with its tenants' advisory lock, exclusive if its jobs wait for stored jobs. So
  neither half of a cycle is missed, nor a prerequisite that is being stored at the same time: either it was
  committed before, and is found, or it becomes visible only after the edge that waits for it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tracker.errors import InvalidJob, JobRefused
from tracker.identifiers import JobName
from tracker.job_status import STATUSES, JobStatus
from tracker.jobs.cycles import find_cycle
from tracker.jobs.new_rows import Edges, TenantKeys
from tracker.jobs.validation import PROBLEMS_SHOWN, AcceptedJob, some_of
from tracker.store import locks
from tracker.store.steps import Row, Verb, ask

NOT_TO_WAIT_FOR = {JobStatus.FAILED: "has failed", JobStatus.CANCELLED: "was cancelled"}
"""The statuses of jobs that no new job can wait for, in words."""
MAX_MET_UNDER_LOCKS = 2_000  # edges; to delete 2,000 takes about 30 ms
MAX_LOOKED_UP = 5_000  # new jobs, to find out whether stored jobs wait for them: 2 µs each
MAX_REACHED = 20_000  # jobs that other jobs wait for, directly or not: 10 µs each

_Ranges = list[tuple[int, int]]


@dataclass
class UnmetPrerequisites:
    """What new jobs wait for."""

    edges: dict[JobName, list[JobName]] = field(default_factory=dict)
    """The unmet prerequisites of each new job that has any."""
    outside: dict[JobName, list[JobName]] = field(default_factory=dict)
    """The dependents of each prerequisite that is not itself a new job."""
    may_be_gone: dict[JobName, list[JobName]] = field(default_factory=dict)
    """Those of `outside` for which the prerequisite counts as completed if it does not exist."""


def find_prerequisites(new: Sequence[AcceptedJob], tenant_keys: TenantKeys) -> Verb[UnmetPrerequisites]:
    """Return what the new jobs must wait for, as far as it is known without a lock.

    :raises JobRefused: a prerequisite has failed or was cancelled.
    :raises InvalidJob: new jobs wait for each other in a cycle.
    """
    unmet = UnmetPrerequisites()
    waiting = [job for job in new if job.prerequisites]
    if not waiting:
        return unmet
    new_names = {job.name for job in new}
    named = {JobName(job.name.partition_id, job_id) for job in waiting for job_id in job.prerequisites}
    statuses = yield from _find_statuses("find_prerequisite_jobs", named - new_names, tenant_keys)
    for job in waiting:
        for job_id, may_be_gone in job.prerequisites.items():
            prerequisite = JobName(job.name.partition_id, job_id)
            if prerequisite not in new_names:
                status = statuses.get(prerequisite)
                if status is JobStatus.COMPLETED or (status is None and may_be_gone):
                    continue
                unmet.outside.setdefault(prerequisite, []).append(job.name)
                if may_be_gone:
                    unmet.may_be_gone.setdefault(prerequisite, []).append(job.name)
            unmet.edges.setdefault(job.name, []).append(prerequisite)
    _refuse_failed_and_cancelled(unmet, statuses)
    refuse_cycle(unmet.edges, InvalidJob)
    return unmet


def lock_and_correct(
    unmet: UnmetPrerequisites, job_keys: Mapping[JobName, int], tenant_keys: TenantKeys
) -> Verb[Collection[JobName]]:
    """Take the locks, which are kept until the commit, and correct the rows that are no longer right.

    Return the prerequisites that do not exist.

    :raises JobRefused: a prerequisite has failed or was cancelled, or the new jobs are part of a cycle.
    """
    new_keys = _ranges(job_keys.values()) if unmet.outside else []
    can_be_many = sum(map(len, unmet.outside.values())) > MAX_MET_UNDER_LOCKS
    if unmet.outside:
        yield from ask("reach_rows_by_index")
    while True:
        if can_be_many:
            yield from ask("set_savepoint")
        yield from _lock_tenants(unmet, job_keys, tenant_keys)
        statuses = yield from _find_statuses("share_prerequisite_jobs", unmet.outside, tenant_keys)
        _refuse_failed_and_cancelled(unmet, statuses)
        met = _take_met(unmet, statuses)
        if len(met) > MAX_MET_UNDER_LOCKS:
            # They are so many that other transactions would wait. No lock is needed to delete them: a
            # completed job stays completed, and a prerequisite that may be gone, and was, need not be waited
            # for even if it is submitted again.
            yield from ask("roll_back_to_savepoint")
            yield from ask("release_savepoint")
        yield from _delete_edges(met, job_keys, tenant_keys)
        if len(met) <= MAX_MET_UNDER_LOCKS:
            break
    yield from _refuse_cycle_through_stored(unmet, job_keys, new_keys, tenant_keys)
    return unmet.outside.keys() - statuses.keys()


def _lock_tenants(unmet: UnmetPrerequisites, names: Iterable[JobName], tenant_keys: TenantKeys) -> Verb[None]:
    partition_ids = {name.partition_id for name in names}
    waiting_ids = {name.partition_id for name in unmet.outside}
    alone: dict[int, bool] = {}
    for partition_id in partition_ids:
        key = locks.prerequisites_key(tenant_keys[partition_id])
        alone[key] = alone.get(key, False) or partition_id in waiting_ids
    keys = sorted(alone)
    yield from ask(
        "lock_tenants_for_submit",
        **{"class": locks.PREREQUISITES, "keys": keys, "alone": [alone[key] for key in keys]},
    )


def _find_statuses(
    statement: str, names: Collection[JobName], tenant_keys: TenantKeys
) -> Verb[dict[JobName, JobStatus]]:
    if not names:
        return {}
    rows = yield from ask(statement, **named(names, tenant_keys))
    return {name: STATUSES[row[2]] for name, row in zip(_names(rows, tenant_keys), rows, strict=True)}


def _refuse_failed_and_cancelled(unmet: UnmetPrerequisites, statuses: Mapping[JobName, JobStatus]) -> None:
    for refused, what in NOT_TO_WAIT_FOR.items():
        names = [name for name, status in statuses.items() if status is refused]
        if names:
            pairs = [f"{name}, for {dependent}" for name in names for dependent in unmet.outside[name]]
            raise JobRefused(f"a prerequisite {what}: {some_of(pairs, '; ')}")


def _take_met(
    unmet: UnmetPrerequisites, statuses: Mapping[JobName, JobStatus]
) -> list[tuple[JobName, JobName]]:
    """Remove and return pairs of prerequisite and dependent whose prerequisite has completed or is gone."""
    met = []
    for name in list(unmet.outside):
        status = statuses.get(name)
        if status is JobStatus.COMPLETED:
            met += [(name, dependent) for dependent in unmet.outside.pop(name)]
        elif status is None and name in unmet.may_be_gone:
            gone = unmet.may_be_gone.pop(name)
            met += [(name, dependent) for dependent in gone]
            left = set(unmet.outside.pop(name)).difference(gone)
            if left:
                unmet.outside[name] = sorted(left)
    return met


def _delete_edges(
    edges: Sequence[tuple[JobName, JobName]], job_keys: Mapping[JobName, int], tenant_keys: TenantKeys
) -> Verb[None]:
    """Delete the edges of pairs of prerequisite and dependent."""
    if not edges:
        return
    yield from ask(
        "delete_new_edges",
        tenant_keys=[tenant_keys[name.partition_id] for name, _ in edges],
        prerequisite_job_ids=[name.job_id for name, _ in edges],
        job_keys=[job_keys[dependent] for _, dependent in edges],
    )
    yield from ask("notify_scheduler")


def _refuse_cycle_through_stored(
    unmet: UnmetPrerequisites, job_keys: Mapping[JobName, int], new_keys: _Ranges, tenant_keys: TenantKeys
) -> Verb[None]:
    """Refuse a cycle of new and stored jobs, including those that were stored a moment ago.

    It runs through a new job that a stored one waits for, and through a stored one that a new one waits for.

    :raises JobRefused: there is a cycle; the text names its jobs.
    """
    if not unmet.outside:
        return
    can_be_part = yield from _can_be_part_of_cycle(unmet, job_keys, new_keys, tenant_keys)
    if not can_be_part:
        return
    graph = dict(unmet.edges)
    rows = yield from ask("list_prerequisites_above", **named(unmet.outside, tenant_keys))
    partition_ids = {key: partition_id for partition_id, key in tenant_keys.items()}
    for tenant_key, dependent, prerequisite in rows:
        name = JobName(partition_ids[tenant_key], dependent)
        if name not in unmet.edges:
            graph.setdefault(name, []).append(JobName(name.partition_id, prerequisite))
    refuse_cycle(graph, JobRefused)


def _can_be_part_of_cycle(
    unmet: UnmetPrerequisites, job_keys: Mapping[JobName, int], new_keys: _Ranges, tenant_keys: TenantKeys
) -> Verb[bool]:
    """Return whether the new jobs can be part of a cycle, from the side that needs fewer rows.

    There can be millions of stored edges. A few new jobs are looked up among the jobs that stored jobs wait
    for. Where they are many, the graph above their prerequisites is read instead, if it is not large.
    """
    if len(job_keys) > MAX_LOOKED_UP:
        reached = yield from ask(
            "reach_prerequisites", **named(unmet.outside, tenant_keys), limit=MAX_REACHED + 1
        )
        if len(reached) <= MAX_REACHED:
            return any(name in job_keys for name in _names(reached, tenant_keys))
    awaited = yield from ask(
        "find_awaited_jobs",
        **named(job_keys, tenant_keys),
        first_keys=[first for first, _ in new_keys],
        last_keys=[last for _, last in new_keys],
    )
    return bool(awaited)


def _ranges(keys: Iterable[int]) -> _Ranges:
    """Return the first and the last key of each run of consecutive keys."""
    ranges: _Ranges = []
    for key in sorted(keys):
        if ranges and ranges[-1][1] == key - 1:
            ranges[-1] = ranges[-1][0], key
        else:
            ranges.append((key, key))
    return ranges


def refuse_cycle(edges: Edges, error: type[JobRefused]) -> None:
    """Raise the error, which names the jobs, if these edges form a cycle."""
    cycle = find_cycle(edges)
    if cycle:
        raise error(
            f"prerequisites form a cycle in partition ID {cycle[0].partition_id}: {_cycle_text(cycle)}"
        )


def _cycle_text(cycle: Sequence[JobName]) -> str:
    """Return ``a -> b -> a``, a long one without its middle."""
    job_ids = [name.job_id for name in cycle]
    if len(job_ids) > 2 * PROBLEMS_SHOWN:
        half = PROBLEMS_SHOWN // 2
        job_ids[half:-half] = [f"and {len(job_ids) - 2 * half:,} more"]
    return " -> ".join(job_ids)


def named(names: Iterable[JobName], tenant_keys: TenantKeys) -> dict[str, object]:
    """Return the parameters that name jobs in a statement."""
    ordered = list(names)
    return {
        "tenant_keys": [tenant_keys[name.partition_id] for name in ordered],
        "job_ids": [name.job_id for name in ordered],
    }


def _names(rows: Sequence[Row], tenant_keys: TenantKeys) -> list[JobName]:
    """Return the names of jobs from rows that begin with a tenant's key and a job ID."""
    partition_ids = {key: partition_id for partition_id, key in tenant_keys.items()}
    return [JobName(partition_ids[row[0]], row[1]) for row in rows]
