"""Gives the topics of each round names of their own, so that a broker can serve many rounds."""

import re
import uuid

from tests.support.deployment import Topics

_NAMES = ("tracking", "worker-in", "worker-out", "tracker-dead-letter")
_MENTION = re.compile(
    rb'("(?:to|trackTo|trackingPipe)":\s*")(' + "|".join(_NAMES).encode() + rb')(")', re.IGNORECASE
)


def new_topics() -> tuple[str, Topics]:
    """Return a new suffix, and topics with it."""
    suffix = f"-{uuid.uuid4().hex[:10]}"
    return suffix, Topics(*(name + suffix for name in _NAMES))


def readdress(value: bytes | None, suffix: str) -> bytes | None:
    """Append the suffix to each topic that a message names."""
    return None if value is None else _MENTION.sub(rb"\1\2" + suffix.encode() + rb"\3", value)
