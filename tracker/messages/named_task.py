"""The job and the task that a message names, even if the message is bad: for log lines and dead letters."""

import binascii

import msgspec

from tracker.identifiers import DEFAULT_PARTITION_ID, BadIdentifier, JobName, parse_job_name


class _Tracking(msgspec.Struct, gc=False):
    jobTaskId: str | None = None


class _Message(msgspec.Struct, gc=False):
    tracking: _Tracking | None = None


class _EventMessage(msgspec.Struct, gc=False):
    taskData: str


class _Event(msgspec.Struct, gc=False):
    jobTaskId: str | None = None
    trackingReports: list[_Tracking] = []


_decode = msgspec.json.Decoder(_Message).decode
_decode_event_message = msgspec.json.Decoder(_EventMessage).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)  # also of UTF-8 and base64


def task_in(value: bytes | None) -> dict[str, object]:
    """Return the fields `job` and `task` of log lines, or nothing if they cannot be read."""
    try:
        tracking = _decode(value or b"").tracking
    except _UNREADABLE:
        return {}
    if tracking is None or tracking.jobTaskId is None:
        return {}
    job = tracking.jobTaskId.partition(".")[0]
    return {"job": job if ":" in job else f"{DEFAULT_PARTITION_ID}:{job}", "task": tracking.jobTaskId}


def job_in(value: bytes | None) -> JobName | None:
    """Return the job that a message names, or that the first report of an event names, if it can be read."""
    job_task_id = task_in(value).get("task") or _first_reported(value or b"")
    if not isinstance(job_task_id, str):
        return None
    try:
        return parse_job_name(job_task_id.partition(".")[0])
    except BadIdentifier:
        return None


def _first_reported(value: bytes) -> str | None:
    try:
        event = _decode_event(binascii.a2b_base64(_decode_event_message(value).taskData))
    except _UNREADABLE:
        return None
    if event.jobTaskId is None and event.trackingReports:
        return event.trackingReports[0].jobTaskId
    return event.jobTaskId
