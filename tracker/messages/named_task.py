"""Which job and task a message names, for people: whatever else is wrong with it."""

import msgspec

from tracker.identifiers import DEFAULT_PARTITION_ID


class _Tracking(msgspec.Struct, gc=False):
    jobTaskId: str | None = None


class _Message(msgspec.Struct, gc=False):
    tracking: _Tracking | None = None


_decode = msgspec.json.Decoder(_Message).decode


def task_in(value: bytes | None) -> dict[str, object]:
    """Return `job` and `task` as log lines have them; nothing where they cannot be read."""
    try:
        tracking = _decode(value or b"").tracking
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return {}
    if tracking is None or tracking.jobTaskId is None:
        return {}
    job = tracking.jobTaskId.partition(".")[0]
    return {"job": job if ":" in job else f"{DEFAULT_PARTITION_ID}:{job}", "task": tracking.jobTaskId}
