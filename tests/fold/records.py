"""Builders of records about tasks of the job `acme:job`. A task is named by its path; empty: the job."""

from typing import Any

from tests.support.messages import failure, record_of, report, task_message, tracking_report
from tests.support.records import Record


def named(path: str) -> str:
    """Return the `jobTaskId` of a task."""
    return f"acme:job.{path}" if path else "acme:job"


def message(path: str, *, headers: Any = (), **fields: Any) -> Record:
    """Build a proxied message. By default, it completes the task."""
    return record_of(task_message(named(path), **fields), headers=headers)


def event(*reports: dict[str, Any]) -> Record:
    """Build an event of reports."""
    return record_of(tracking_report(*reports))


def reported(path: str, status: str, *more: Any, **fields: Any) -> Record:
    """Build an event with one report."""
    return event(report(named(path), status, *more, **fields))


def completed(*paths: str) -> Record:
    """Build an event that reports that tasks have completed."""
    return event(*(report(named(path), "Complete") for path in paths))


def failed(path: str, text: str = "it broke") -> Record:
    """Build an event that reports that a task has failed."""
    return reported(path, "Failed", failure=failure(text))


def progress(path: str, percentage: float) -> Record:
    """Build an event that reports the progress of a task."""
    return reported(path, "Progress", percentage)
