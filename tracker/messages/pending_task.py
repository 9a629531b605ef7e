"""The task message that starts a job."""

import binascii
from typing import NamedTuple
from urllib.parse import quote

import orjson

from tracker.identifiers import JobName
from tracker.messages.run_marker import marked_status_url
from tracker.messages.task_message import NEWEST_VERSION


class PendingTask(NamedTuple):
    """A job's task as it is stored until it is sent."""

    tenant_key: int
    job_key: int
    job: JobName
    task_classifier: str
    task_api_version: int
    task_data: bytes
    task_pipe: str
    target_pipe: str | None
    correlation_id: bytes | None  # UTF-8
    task_id: str


class StatusCheck(NamedTuple):
    """The settings that the `tracking` of every task message has that the tracker itself writes."""

    service_url: str
    interval_ms: int
    tracking_pipe: str


def task_message_of(pending: PendingTask, check: StatusCheck, now_ms: int) -> bytes:
    """Return the task message that starts a job; the record's key is `str(pending.job)`."""
    partition_id, job_id = (quote(part, safe="") for part in pending.job)
    job_url = f"{check.service_url.rstrip('/')}/partitions/{partition_id}/jobs/{job_id}"
    message: dict[str, object] = {
        "version": NEWEST_VERSION,
        "taskId": pending.task_id,
        "taskClassifier": pending.task_classifier,
        "taskApiVersion": pending.task_api_version,
        "taskData": binascii.b2a_base64(pending.task_data, newline=False).decode("ascii"),
        "taskStatus": "NEW_TASK",
        "context": {},
        "to": pending.task_pipe,
        "tracking": {
            "jobTaskId": str(pending.job),
            "lastStatusCheckTime": now_ms,
            "statusCheckIntervalMillis": check.interval_ms,
            "statusCheckUrl": marked_status_url(job_url, pending.job_key),
            "trackingPipe": check.tracking_pipe,
            "trackTo": pending.target_pipe,
        },
    }
    if pending.correlation_id is not None:
        message["correlationId"] = pending.correlation_id.decode("utf-8")
    return orjson.dumps(message)
