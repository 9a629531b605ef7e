"""Gives the topics of each round names of their own, so that a broker can serve many rounds."""

import re
import uuid

from tests.support.deployment import Topics

_NAMES = ("tracking", "worker-in", "worker-out", "tracker-dead-letter")
_LATE = "worker-late-"
_MENTION = re.compile(
    rf'("(?:to|trackTo|trackingPipe)":\s*")({"|".join(_NAMES)}|{_LATE}[^"]*)(")'.encode(), re.IGNORECASE
)


def new_topics() -> tuple[str, Topics]:
    """Return a new suffix, and topics with it."""
    suffix = f"-{uuid.uuid4().hex[:10]}"
    return suffix, Topics(*(name + suffix for name in _NAMES))


def late_topic(job_id: str) -> str:
    """Return the topic that a job's last message names, and that is created after it was refused."""
    return _LATE + job_id


def readdress(value: bytes | None, suffix: str) -> bytes | None:
    """Append the suffix to each topic that a message names."""
    return None if value is None else _MENTION.sub(rb"\1\2" + suffix.encode() + rb"\3", value)
