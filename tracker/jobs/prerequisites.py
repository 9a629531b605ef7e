"""What new jobs wait for: looked at without a lock, and again under the locks with which a submit ends.

To store 300,000 jobs takes seconds, and nobody is to wait for that. So a submit stores its rows first, which
nobody else sees yet, by what it has found of the prerequisites. Then it takes its locks, looks whether that
still holds, and commits. What it does under the locks does not grow with the number of its jobs, only with
that of the different stored jobs that they wait for: 10 µs for each, so 0.3 s for 30,000 of them.

What the locks are for:

- A batch that completes or fails a prerequisite. The prerequisites' rows are share-locked before their status
  is read for the last time, and until the edges are committed: the batch has been seen, or sees the edges.
- Another submit. Each ends with its tenants' advisory lock; those that wait for stored jobs take it alone. So
  neither half of a cycle is missed, nor a prerequisite that is just being stored: it was committed before,
  and is found, or it becomes visible only after the edge that waits for it.
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

HOPELESS = {JobStatus.FAILED: "has failed", JobStatus.CANCELLED: "was cancelled"}
"""What is said of jobs that cannot be waited for."""
MOST_MET_UNDER_LOCKS = 2_000  # edges; to take away 2,000 takes about 30 ms
MOST_LOOKED_UP = 5_000  # new jobs, to see whether stored ones wait for them: 2 µs each
MOST_REACHED = 20_000  # jobs that others wait for, directly or not: 10 µs each

_Ranges = list[tuple[int, int]]


@dataclass
class Waits:
    """What new jobs wait for."""

    edges: dict[JobName, list[JobName]] = field(default_factory=dict)
    """The unmet prerequisites of each new job that has any."""
    outside: dict[JobName, list[JobName]] = field(default_factory=dict)
    """The dependents of each unmet prerequisite that is not itself a new job."""
    may_be_gone: dict[JobName, list[JobName]] = field(default_factory=dict)
    """Those of them for which the prerequisite counts only while it is stored."""


def look_at_prerequisites(new: Sequence[AcceptedJob], tenant_keys: TenantKeys) -> Verb[Waits]:
    """Return what the new jobs have to wait for, as far as can be told without a lock.

    :raises JobRefused: a prerequisite has failed or was cancelled.
    :raises InvalidJob: new jobs wait for each other in a cycle.
    """
    waits = Waits()
    waiting = [job for job in new if job.prerequisites]
    if not waiting:
        return waits
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
                waits.outside.setdefault(prerequisite, []).append(job.name)
                if may_be_gone:
                    waits.may_be_gone.setdefault(prerequisite, []).append(job.name)
            waits.edges.setdefault(job.name, []).append(prerequisite)
    _refuse_hopeless(waits, statuses)
    _refuse_cycle(waits.edges, InvalidJob)
    return waits


def settle(
    waits: Waits, job_keys: Mapping[JobName, int], tenant_keys: TenantKeys
) -> Verb[Collection[JobName]]:
    """Take the locks, to be kept until the commit, and correct what no longer holds of the rows.

    Returns the prerequisites that do not exist.

    :raises JobRefused: a prerequisite has failed or was cancelled, or the new jobs are part of a cycle.
    """
    new_keys = _ranges(job_keys.values()) if waits.outside else []
    can_be_many = sum(map(len, waits.outside.values())) > MOST_MET_UNDER_LOCKS
    if waits.outside:
        yield from ask("reach_rows_by_index")
    while True:
        if can_be_many:
            yield from ask("set_savepoint")
        yield from _lock_tenants(waits, job_keys, tenant_keys)
        statuses = yield from _find_statuses("share_prerequisite_jobs", waits.outside, tenant_keys)
        _refuse_hopeless(waits, statuses)
        met = _met(waits, statuses)
        if len(met) > MOST_MET_UNDER_LOCKS:
            # So many that others would wait. This needs no lock: a completed job stays completed, and one
            # that may be gone and was need not be waited for, even if it comes again.
            yield from ask("roll_back_to_savepoint")
            yield from ask("release_savepoint")
        yield from _meet(met, job_keys, tenant_keys)
        if len(met) <= MOST_MET_UNDER_LOCKS:
            break
    yield from _refuse_cycle_through_stored(waits, job_keys, new_keys, tenant_keys)
    return waits.outside.keys() - statuses.keys()


def _lock_tenants(waits: Waits, names: Iterable[JobName], tenant_keys: TenantKeys) -> Verb[None]:
    partition_ids = {name.partition_id for name in names}
    waiting_ids = {name.partition_id for name in waits.outside}
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


def _refuse_hopeless(waits: Waits, statuses: Mapping[JobName, JobStatus]) -> None:
    for hopeless, what in HOPELESS.items():
        names = [name for name, status in statuses.items() if status is hopeless]
        if names:
            pairs = [f"{name}, for {dependent}" for name in names for dependent in waits.outside[name]]
            raise JobRefused(f"a prerequisite {what}: {some_of(pairs, '; ')}")


def _met(waits: Waits, statuses: Mapping[JobName, JobStatus]) -> list[tuple[JobName, JobName]]:
    """Take out pairs of prerequisite and dependent that no longer count: it has completed, or has gone."""
    met = []
    for name in list(waits.outside):
        status = statuses.get(name)
        if status is JobStatus.COMPLETED:
            met += [(name, dependent) for dependent in waits.outside.pop(name)]
        elif status is None and name in waits.may_be_gone:
            gone = waits.may_be_gone.pop(name)
            met += [(name, dependent) for dependent in gone]
            left = set(waits.outside.pop(name)).difference(gone)
            if left:
                waits.outside[name] = sorted(left)
    return met


def _meet(
    edges: Sequence[tuple[JobName, JobName]], job_keys: Mapping[JobName, int], tenant_keys: TenantKeys
) -> Verb[None]:
    """Take away edges, pairs of prerequisite and dependent, that no longer count."""
    if not edges:
        return
    yield from ask(
        "meet_new_edges",
        tenant_keys=[tenant_keys[name.partition_id] for name, _ in edges],
        prerequisite_job_ids=[name.job_id for name, _ in edges],
        job_keys=[job_keys[dependent] for _, dependent in edges],
    )
    yield from ask("notify_scheduler")


def _refuse_cycle_through_stored(
    waits: Waits, job_keys: Mapping[JobName, int], new_keys: _Ranges, tenant_keys: TenantKeys
) -> Verb[None]:
    """Refuse a cycle of new jobs and of jobs that were stored before, the last moment's included.

    It runs through a new job that a stored one waits for, and through a stored one that a new one waits for.

    :raises JobRefused: there is one; the text names its jobs.
    """
    if not waits.outside:
        return
    can_be_part = yield from _can_be_part_of_cycle(waits, job_keys, new_keys, tenant_keys)
    if not can_be_part:
        return
    graph = dict(waits.edges)
    rows = yield from ask("list_prerequisites_above", **named(waits.outside, tenant_keys))
    partition_ids = {key: partition_id for partition_id, key in tenant_keys.items()}
    for tenant_key, dependent, prerequisite in rows:
        name = JobName(partition_ids[tenant_key], dependent)
        if name not in waits.edges:
            graph.setdefault(name, []).append(JobName(name.partition_id, prerequisite))
    _refuse_cycle(graph, JobRefused)


def _can_be_part_of_cycle(
    waits: Waits, job_keys: Mapping[JobName, int], new_keys: _Ranges, tenant_keys: TenantKeys
) -> Verb[bool]:
    """Return whether the new jobs may be part of a cycle, by the side from which fewer rows are to be read.

    Few new jobs are looked up among those that stored jobs wait for; of many, it is seen what is above their
    prerequisites, if that is not a large graph. There may be millions of stored edges.
    """
    if len(job_keys) > MOST_LOOKED_UP:
        reached = yield from ask(
            "reach_prerequisites", **named(waits.outside, tenant_keys), limit=MOST_REACHED + 1
        )
        if len(reached) <= MOST_REACHED:
            return any(name in job_keys for name in _names(reached, tenant_keys))
    awaited = yield from ask(
        "find_awaited_jobs",
        **named(job_keys, tenant_keys),
        first_keys=[first for first, _ in new_keys],
        last_keys=[last for _, last in new_keys],
    )
    return bool(awaited)


def _ranges(keys: Iterable[int]) -> _Ranges:
    """Return the first and the last of each row of consecutive keys."""
    ranges: _Ranges = []
    for key in sorted(keys):
        if ranges and ranges[-1][1] == key - 1:
            ranges[-1] = ranges[-1][0], key
        else:
            ranges.append((key, key))
    return ranges


def _refuse_cycle(edges: Edges, error: type[JobRefused]) -> None:
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
    """Return the names that begin rows: a tenant's key and a job ID."""
    partition_ids = {key: partition_id for partition_id, key in tenant_keys.items()}
    return [JobName(partition_ids[row[0]], row[1]) for row in rows]
