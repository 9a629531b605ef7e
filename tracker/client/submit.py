"""The verb that stores jobs.

All the jobs of a call go in by COPY, in one transaction. What it must hold against others at work:

- Two submits at once. Those with prerequisites have their tenants to themselves, by advisory lock, so that
  neither half of a circle is missed, nor a prerequisite that is just being stored. The same job in both: the
  second waits at the unique key for the first to commit, and is then run again, when it finds the job.
- A batch that completes or fails a prerequisite. The prerequisites' rows are share-locked before their status
  is read, and until the edges are committed.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from tracker.client.circles import find_circle
from tracker.client.job import STATUSES, JobStatus, NewJob, SubmittedJob
from tracker.client.steps import Prepared, Verb, ask, copy
from tracker.client.submission import PROBLEMS_SHOWN, AcceptedJob, Describe, accept, some_of
from tracker.errors import JobConflict, JobRefused
from tracker.identifiers import JobName
from tracker.store import locks

TenantKeys = Mapping[str, int]
Edges = dict[JobName, list[JobName]]
"""The unmet prerequisites of each new job that has any."""


def submit(
    jobs: Iterable[NewJob | Mapping[str, Any]], *, describe: Describe = lambda index: f"job {index + 1}"
) -> Prepared[list[SubmittedJob]]:
    """Store jobs, all or none, and return them in their order, each once.

    A mapping has the fields of a job's JSON. A job that is stored already with the same content is left as it
    is. `describe` says what to call the job at an index of `jobs` in error messages.

    :raises JobRefused: a job breaks a rule, has a prerequisite that has failed, or is part of a circle of
        prerequisites.
    :raises JobConflict: a job with this name is stored with other content, or given twice with different
        content.
    """
    return Prepared(partial(_submit, accept(jobs, describe)))


def _submit(accepted: Mapping[JobName, AcceptedJob]) -> Verb[list[SubmittedJob]]:
    if not accepted:
        return []
    tenant_keys = yield from _find_tenants(sorted({name.partition_id for name in accepted}))
    yield from _lock_tenants(accepted.values(), tenant_keys)
    stored = yield from _find_stored(accepted, tenant_keys)
    new = [job for name, job in accepted.items() if name not in stored]
    if new:
        edges = yield from _find_edges(new, tenant_keys)
        yield from _refuse_circle(edges, new, tenant_keys)
        yield from _store(new, edges, tenant_keys)
    return [
        SubmittedJob(partition_id=name.partition_id, id=name.job_id, created=name not in stored)
        for name in accepted
    ]


def _find_tenants(partition_ids: list[str]) -> Verb[TenantKeys]:
    rows = yield from ask("find_tenants", partition_ids=partition_ids)
    if len(rows) < len(partition_ids):
        yield from ask("add_tenants", partition_ids=partition_ids)
        rows = yield from ask("find_tenants", partition_ids=partition_ids)
    return dict(rows)


def _lock_tenants(jobs: Iterable[AcceptedJob], tenant_keys: TenantKeys) -> Verb[None]:
    alone: dict[int, bool] = {}
    for job in jobs:
        key = locks.prerequisites_key(tenant_keys[job.name.partition_id])
        alone[key] = alone.get(key, False) or bool(job.prerequisites)
    keys = sorted(alone)
    yield from ask(
        "lock_tenants_for_submit",
        **{"class": locks.PREREQUISITES, "keys": keys, "alone": [alone[key] for key in keys]},
    )


def _find_stored(accepted: Mapping[JobName, AcceptedJob], tenant_keys: TenantKeys) -> Verb[set[JobName]]:
    """Return those that are stored already.

    :raises JobConflict: some are, with other content.
    """
    rows = yield from ask("find_submitted_jobs", **_named(accepted, tenant_keys))
    partition_ids = {key: partition_id for partition_id, key in tenant_keys.items()}
    hashes = {JobName(partition_ids[tenant_key], job_id): content for tenant_key, job_id, content in rows}
    conflicts = [str(name) for name, content in hashes.items() if not accepted[name].has_content(content)]
    if conflicts:
        raise JobConflict(f"stored already, with other content: {some_of(sorted(conflicts))}")
    return set(hashes)


def _find_edges(new: Sequence[AcceptedJob], tenant_keys: TenantKeys) -> Verb[Edges]:
    """Return the prerequisites that the new jobs have to wait for.

    :raises JobRefused: one has failed.
    """
    waiting = [job for job in new if job.prerequisites]
    if not waiting:
        return {}
    new_names = {job.name for job in new}
    named = {JobName(job.name.partition_id, job_id) for job in waiting for job_id in job.prerequisites}
    statuses = dict.fromkeys(named & new_names, JobStatus.WAITING)
    rows = yield from ask("share_prerequisite_jobs", **_named(named - new_names, tenant_keys))
    partition_ids = {key: partition_id for partition_id, key in tenant_keys.items()}
    for tenant_key, job_id, status in rows:
        statuses[JobName(partition_ids[tenant_key], job_id)] = STATUSES[status]
    edges: Edges = {}
    failed = []
    for job in waiting:
        for job_id, may_be_gone in job.prerequisites.items():
            prerequisite = JobName(job.name.partition_id, job_id)
            status = statuses.get(prerequisite)
            if status is JobStatus.FAILED:
                failed.append(f"{prerequisite}, for {job.name}")
            elif status is not JobStatus.COMPLETED and not (status is None and may_be_gone):
                edges.setdefault(job.name, []).append(prerequisite)
    if failed:
        raise JobRefused(f"a prerequisite has failed: {some_of(failed, '; ')}")
    return edges


def _refuse_circle(edges: Edges, new: Sequence[AcceptedJob], tenant_keys: TenantKeys) -> Verb[None]:
    """Refuse a circle among the new jobs, or through stored ones.

    Every circle has a new job that another one of it waits for. Where no stored job waits for a new one, the
    circle has only new jobs, and the stored edges need not be read: there may be millions.

    :raises JobRefused: there is one; the text names its jobs.
    """
    if not edges:
        return
    graph: dict[JobName, list[JobName]] = dict(edges)
    awaited = yield from ask("find_awaited_jobs", **_named([job.name for job in new], tenant_keys))
    if awaited:
        targets = {prerequisite for prerequisites in edges.values() for prerequisite in prerequisites}
        rows = yield from ask("list_prerequisites_above", **_named(targets, tenant_keys))
        partition_ids = {key: partition_id for partition_id, key in tenant_keys.items()}
        for tenant_key, dependent, prerequisite in rows:
            partition_id = partition_ids[tenant_key]
            graph.setdefault(JobName(partition_id, dependent), []).append(JobName(partition_id, prerequisite))
    circle = find_circle(graph)
    if circle:
        where = f"in partition ID {circle[0].partition_id}"
        raise JobRefused(f"prerequisites in a circle, {where}: {_circle_text(circle)}")


def _circle_text(circle: Sequence[JobName]) -> str:
    """Return ``a -> b -> a``, a long one without its middle."""
    job_ids = [name.job_id for name in circle]
    if len(job_ids) > 2 * PROBLEMS_SHOWN:
        half = PROBLEMS_SHOWN // 2
        job_ids[half:-half] = [f"and {len(job_ids) - 2 * half:,} more"]
    return " -> ".join(job_ids)


def _store(new: Sequence[AcceptedJob], edges: Edges, tenant_keys: TenantKeys) -> Verb[None]:
    """Store the jobs and what belongs to them, in the order of their keys in the unique index.

    Two submits with the same new jobs then wait for each other, and do not deadlock.
    """
    ((keys, now),) = yield from ask("take_job_keys", count=len(new))
    keyed = [(tenant_keys[job.name.partition_id], key, job) for job, key in zip(new, keys, strict=True)]
    keyed.sort(key=lambda item: (item[0], item[2].name.job_id.encode()))
    yield from copy(
        "copy_jobs",
        ("int4", "int8", "text", "bytea", "text", "text", "text"),
        (
            (
                tenant,
                key,
                job.name.job_id,
                job.content_hash,
                job.job.name,
                job.job.description,
                job.job.external_data,
            )
            for tenant, key, job in keyed
        ),
    )
    yield from copy(
        "copy_labels",
        ("int4", "int8", "text", "text"),
        ((tenant, key, *label) for tenant, key, job in keyed for label in job.checked.labels.items()),
    )
    yield from copy(
        "copy_prerequisites",
        ("int4", "text", "int8"),
        ((tenant, edge.job_id, key) for tenant, key, job in keyed for edge in edges.get(job.name, ())),
    )
    yield from copy(
        "copy_pending_tasks",
        ("int4", "int8", "int4", "timestamptz", "int4", "text", "int4", "bytea", "text", "text"),
        ((tenant, key, *_pending_task(job, len(edges.get(job.name, ())), now)) for tenant, key, job in keyed),
    )
    if len(edges) < len(new):
        yield from ask("notify_scheduler")


def _pending_task(job: AcceptedJob, unmet: int, now: Any) -> tuple[object, ...]:
    task, delay = job.task, job.checked.delay_s
    eligible_time = None if unmet else now + timedelta(seconds=delay)
    return (
        unmet,
        eligible_time,
        delay,
        task.task_classifier,
        task.task_api_version,
        job.data.sent,
        task.task_pipe,
        task.target_pipe,
    )


def _named(names: Iterable[JobName], tenant_keys: TenantKeys) -> dict[str, object]:
    ordered = list(names)
    return {
        "tenant_keys": [tenant_keys[name.partition_id] for name in ordered],
        "job_ids": [name.job_id for name in ordered],
    }
