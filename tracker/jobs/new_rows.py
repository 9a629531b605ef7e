"""The rows of new jobs, as COPY takes them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tracker.identifiers import JobName
from tracker.jobs.validation import AcceptedJob
from tracker.store.steps import Verb, ask, copy

TenantKeys = Mapping[str, int]
Edges = Mapping[JobName, Sequence[JobName]]
"""The unmet prerequisites of each new job that has any."""


@dataclass(frozen=True)
class _Keyed:
    """A new job and its key."""

    tenant_key: int
    job_key: int
    job: AcceptedJob


def store_rows(new: Sequence[AcceptedJob], edges: Edges, tenant_keys: TenantKeys) -> Verb[dict[JobName, int]]:
    """Store new jobs and what belongs to them, and return their keys.

    They go in the order of their keys in the unique index: two submits with the same new jobs then wait for
    each other, and do not deadlock.
    """
    ((keys, now),) = yield from ask("take_job_keys", count=len(new))
    keyed = [_Keyed(tenant_keys[job.name.partition_id], key, job) for job, key in zip(new, keys, strict=True)]
    keyed.sort(key=lambda each: (each.tenant_key, each.job.name.job_id.encode()))
    yield from copy(
        "copy_jobs", ("int4", "int8", "text", "bytea", "text", "text", "text"), map(_job_row, keyed)
    )
    yield from copy("copy_labels", ("int4", "int8", "text", "text"), _label_rows(keyed))
    yield from copy("copy_prerequisites", ("int4", "text", "int8"), _edge_rows(keyed, edges))
    yield from copy(
        "copy_pending_tasks",
        ("int4", "int8", "int4", "timestamptz", "int4", "text", "int4", "bytea", "text", "text"),
        (_pending_task_row(each, len(edges.get(each.job.name, ())), now) for each in keyed),
    )
    return {each.job.name: each.job_key for each in keyed}


def _job_row(each: _Keyed) -> tuple[object, ...]:
    job = each.job.job
    return (
        each.tenant_key,
        each.job_key,
        each.job.name.job_id,
        each.job.content_hash,
        job.name,
        job.description,
        job.external_data,
    )


def _label_rows(keyed: Sequence[_Keyed]) -> Iterator[tuple[object, ...]]:
    return (
        (each.tenant_key, each.job_key, *label) for each in keyed for label in each.job.checked.labels.items()
    )


def _edge_rows(keyed: Sequence[_Keyed], edges: Edges) -> Iterator[tuple[object, ...]]:
    return (
        (each.tenant_key, prerequisite.job_id, each.job_key)
        for each in keyed
        for prerequisite in edges.get(each.job.name, ())
    )


def _pending_task_row(each: _Keyed, unmet: int, now: datetime) -> tuple[object, ...]:
    task, delay = each.job.task, each.job.checked.delay_s
    eligible_time = None if unmet else now + timedelta(seconds=delay)
    return (
        each.tenant_key,
        each.job_key,
        unmet,
        eligible_time,
        delay,
        task.task_classifier,
        task.task_api_version,
        each.job.task_data,
        task.task_pipe,
        task.target_pipe,
    )
