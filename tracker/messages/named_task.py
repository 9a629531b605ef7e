"""The job and the task that a message names, for log lines, even if the message is bad."""

import msgspec

from tracker.identifiers import DEFAULT_PARTITION_ID


class _Tracking(msgspec.Struct, gc=False):
    jobTaskId: str | None = None


class _Message(msgspec.Struct, gc=False):
    tracking: _Tracking | None = None


_decode = msgspec.json.Decoder(_Message).decode


def task_in(value: bytes | None) -> dict[str, object]:
    """Return the fields `job` and `task` of log lines, or nothing if they cannot be read."""
    try:
        tracking = _decode(value or b"").tracking
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return {}
    if tracking is None or tracking.jobTaskId is None:
        return {}
    job = tracking.jobTaskId.partition(".")[0]
    return {"job": job if ":" in job else f"{DEFAULT_PARTITION_ID}:{job}", "task": tracking.jobTaskId}
