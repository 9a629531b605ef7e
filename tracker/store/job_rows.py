"""The rows of new jobs, with the columns in the order of each COPY statement."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from tracker.store.arrays import EncodedArray
from tracker.store.steps import Verb, copy


class JobRow(NamedTuple):
    """A job."""

    tenant_key: int
    job_key: int
    job_id: str
    content_hash: bytes
    name: str | None
    description: str | None
    external_data: str | None
    prerequisite_job_ids: EncodedArray | None  # as submitted; None: there are none


class LabelRow(NamedTuple):
    """A label of a job."""

    tenant_key: int
    job_key: int
    label_key: str
    label_value: str | None


class PrerequisiteRow(NamedTuple):
    """An unmet prerequisite of a job."""

    tenant_key: int
    prerequisite_job_id: str
    job_key: int


class TaskMessageRow(NamedTuple):
    """The task message of a job."""

    tenant_key: int
    job_key: int
    unmet: int  # prerequisites
    eligible_time: datetime | None  # None: it has unmet prerequisites
    delay_s: int
    task_classifier: str
    task_api_version: int
    task_data: bytes
    task_pipe: str
    target_pipe: str | None


def copy_jobs(rows: Iterable[JobRow]) -> Verb[None]:
    """Store jobs; where two transactions could store the same ones, in the order of their unique key."""
    return copy("copy_jobs", ("int4", "int8", "text", "bytea", "text", "text", "text", "text[]"), rows)


def copy_labels(rows: Iterable[LabelRow]) -> Verb[None]:
    """Store labels of new jobs."""
    return copy("copy_labels", ("int4", "int8", "text", "text"), rows)


def copy_prerequisites(rows: Iterable[PrerequisiteRow]) -> Verb[None]:
    """Store unmet prerequisites of new jobs."""
    return copy("copy_prerequisites", ("int4", "text", "int8"), rows)


def copy_task_messages(rows: Iterable[TaskMessageRow]) -> Verb[None]:
    """Store task messages of new jobs."""
    types = ("int4", "int8", "int4", "timestamptz", "int4", "text", "int4", "bytea", "text", "text")
    return copy("copy_task_messages", types, rows)
