"""Stores the rows of new jobs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tracker.identifiers import JobName
from tracker.jobs.validation import AcceptedJob
from tracker.store import job_rows
from tracker.store.arrays import text_array
from tracker.store.job_rows import JobRow, LabelRow, PrerequisiteRow, TaskMessageRow
from tracker.store.steps import Verb, ask

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

    They are stored in the order of their keys in the unique index: two submits with the same new jobs then
    wait for each other, and do not deadlock.
    """
    ((keys, now),) = yield from ask("take_job_keys", count=len(new))
    keyed = [_Keyed(tenant_keys[job.name.partition_id], key, job) for job, key in zip(new, keys, strict=True)]
    keyed.sort(key=lambda each: (each.tenant_key, each.job.name.job_id.encode()))
    yield from job_rows.copy_jobs(map(_job_row, keyed))
    yield from job_rows.copy_labels(_label_rows(keyed))
    yield from job_rows.copy_prerequisites(_prerequisite_rows(keyed, edges))
    yield from job_rows.copy_task_messages(
        _task_message_row(each, len(edges.get(each.job.name, ())), now) for each in keyed
    )
    return {each.job.name: each.job_key for each in keyed}


def _job_row(each: _Keyed) -> JobRow:
    job = each.job.job
    return JobRow(
        each.tenant_key,
        each.job_key,
        each.job.name.job_id,
        each.job.content_hash,
        job.name,
        job.description,
        job.external_data,
        text_array(list(each.job.prerequisites)) if each.job.prerequisites else None,
    )


def _label_rows(keyed: Sequence[_Keyed]) -> Iterator[LabelRow]:
    return (
        LabelRow(each.tenant_key, each.job_key, key, value)
        for each in keyed
        for key, value in each.job.checked.labels.items()
    )


def _prerequisite_rows(keyed: Sequence[_Keyed], edges: Edges) -> Iterator[PrerequisiteRow]:
    return (
        PrerequisiteRow(each.tenant_key, prerequisite.job_id, each.job_key)
        for each in keyed
        for prerequisite in edges.get(each.job.name, ())
    )


def _task_message_row(each: _Keyed, unmet: int, now: datetime) -> TaskMessageRow:
    task, delay_s = each.job.task, each.job.checked.delay_s
    return TaskMessageRow(
        each.tenant_key,
        each.job_key,
        unmet,
        None if unmet else now + timedelta(seconds=delay_s),
        delay_s,
        task.task_classifier,
        task.task_api_version,
        each.job.task_data,
        task.task_pipe,
        task.target_pipe,
    )
