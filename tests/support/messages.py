"""Builders of messages as producers and workers send them. The defaults are sound.

All return the bytes of a record's value; `record_of` makes a record of them.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.records import Record

__all__ = [
    "OMIT",
    "Record",
    "dump",
    "event",
    "failure",
    "key_of",
    "progress_event",
    "record_of",
    "report",
    "task_message",
    "tracking_report",
]

OMIT: Any = object()
"""As a field's value: leave the field out."""

REALISTIC_BYTES = 800
STATUS_CHECK_URL = "http://job-service:8080/job-service/v1/partitions/acme/jobs/job/status"


def task_message(
    job_task_id: str | None,
    *,
    to: str | None = "worker-out",
    track_to: str | None = "worker-out",
    status: str | None = "NEW_TASK",
    task_data: bytes | None = b"{}",
    status_check_url: str | None = STATUS_CHECK_URL,
    realistic: bool = False,
    **fields: Any,
) -> bytes:
    """Build a message for an ordinary worker; by default, it completes its task.

    `fields` replace or add top-level fields, `OMIT` leaves one out. `realistic` pads the task data, so
    that the message is about as long as in production.
    """
    message: dict[str, Any] = {
        "version": 3,
        "taskId": "d1b0f3a4-8c15-4f7e-9a62-0e5d7c3b9f21",
        "taskClassifier": "DocumentWorker",
        "taskApiVersion": 1,
        "taskData": encode(task_data),
        "taskStatus": status,
        "context": {},
        "to": to,
        "tracking": {
            "jobTaskId": job_task_id,
            "lastStatusCheckTime": 1_700_000_000_000,
            "statusCheckIntervalMillis": 5000,
            "statusCheckUrl": status_check_url,
            "trackingPipe": "tracking",
            "trackTo": track_to,
        },
        "sourceInfo": {"name": "worker-document", "version": "7.1.0"},
        "priority": None,
        "correlationId": None,
    }
    message |= fields
    if realistic:
        room = REALISTIC_BYTES - len(dump(message))
        message["taskData"] = encode((task_data or b"") + b" " * max(room * 3 // 4, 0))
    return dump(message)


def event(
    classifier: str | None,
    data: Any,
    *,
    to: str | None = "tracking",
    api_version: int | None = 1,
    **fields: Any,
) -> bytes:
    """Build a message for the tracker. `data` is encoded as JSON, unless it is bytes."""
    raw = data if isinstance(data, bytes) or data is None else dump(data)
    sent: dict[str, Any] = {"taskClassifier": classifier, "taskApiVersion": api_version, "tracking": None}
    return task_message(None, to=to, task_data=raw, **(sent | fields))


def tracking_report(*reports: Any, to: str | None = "tracking", **fields: Any) -> bytes:
    """Build a `TrackingReportTask` with the results of `report`."""
    return event("TrackingReportTask", {"trackingReports": list(reports)}, to=to, **fields)


def progress_event(job_task_id: Any, percentage: Any, *, to: str | None = "tracking", **fields: Any) -> bytes:
    """Build a `JobTrackingWorker` message: progress on one task."""
    data = {"jobTaskId": job_task_id, "estimatedPercentageCompleted": percentage}
    return event("JobTrackingWorker", without_omitted(data), to=to, **fields)


def report(job_task_id: Any, status: Any, percentage: Any = OMIT, **fields: Any) -> dict[str, Any]:
    """Make one report of a `TrackingReportTask`."""
    made = {"jobTaskId": job_task_id, "status": status, "estimatedPercentageCompleted": percentage}
    return {name: value for name, value in (made | fields).items() if value is not OMIT}


def failure(
    message: Any = "it broke", *, failure_id: Any = "E1", source: Any = "worker-document", **fields: Any
) -> dict[str, Any]:
    """Make the details of a failure in a report."""
    made = {
        "failureId": failure_id,
        "failureTime": 1_700_000_000_000,
        "failureSource": source,
        "failureMessage": message,
    }
    return {name: value for name, value in (made | fields).items() if value is not OMIT}


def record_of(
    value: bytes | None,
    *,
    key: bytes | None = b"acme:job",
    topic: str = "tracking",
    headers: Mapping[str, bytes | None] | Sequence[tuple[str, bytes | None]] = (),
) -> Record:
    """Make a record."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return Record(topic, key, value, tuple(pairs))


def key_of(job_task_id: str) -> bytes:
    """Return the key that producers give to messages of this task."""
    partition_id, _, rest = job_task_id.rpartition(":")
    return f"{partition_id or 'default'}:{rest.partition('.')[0]}".encode()


def dump(document: Any) -> bytes:
    """Encode JSON as compactly as workers do."""
    return json.dumps(without_omitted(document), separators=(",", ":")).encode()


def without_omitted(document: Any) -> Any:
    """Return the document without the fields that are `OMIT`."""
    if not isinstance(document, dict):
        return document
    return {name: value for name, value in document.items() if value is not OMIT}


def encode(data: bytes | None) -> str | None:
    """Encode base64."""
    return None if data is None else base64.b64encode(data).decode()
