"""The event that reports on one task, as a worker sends it."""

import binascii
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from tracker.messages.event import NEWEST_API_VERSION, Failure
from tracker.messages.task_message import NEWEST_VERSION


class ReportStatus(StrEnum):
    """What a report says about a task."""

    COMPLETE = "Complete"
    FAILED = "Failed"
    PROGRESS = "Progress"


class TaskReport(NamedTuple):
    """A report on one task."""

    job_task_id: str
    status: ReportStatus
    percentage: float | None = None  # of progress
    failure: Failure | None = None


class Sender(NamedTuple):
    """Who sends a message, and its ID."""

    name: str
    version: str
    task_id: str


def report_event(report: TaskReport, tracking_topic: str, sender: Sender) -> bytes:
    """Return the event for a tracking topic; the record's key is the name of the task's job."""
    content: dict[str, Any] = {"jobTaskId": report.job_task_id, "status": report.status.value}
    if report.percentage is not None:
        content["estimatedPercentageCompleted"] = report.percentage
    if report.failure is not None:
        content["failure"] = {
            "failureId": report.failure.failure_id,
            "failureTime": report.failure.failure_time_ms,
            "failureSource": report.failure.failure_source,
            "failureMessage": report.failure.failure_message,
        }
    data = orjson.dumps({"trackingReports": [content]})
    return orjson.dumps(
        {
            "version": NEWEST_VERSION,
            "taskId": sender.task_id,
            "taskClassifier": "TrackingReportTask",
            "taskApiVersion": NEWEST_API_VERSION,
            "taskData": binascii.b2a_base64(data, newline=False).decode("ascii"),
            "taskStatus": "NEW_TASK",
            "context": {},
            "to": tracking_topic,
            "tracking": None,
            "sourceInfo": {"name": sender.name, "version": sender.version},
        }
    )
