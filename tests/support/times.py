"""Whether a time that a message or a row holds is one of this test."""

import time

_UNIT_S = 600.0
"""Further off than this is another unit or another time zone; how fast a test is does not matter."""


def is_recent(time_ms: float) -> bool:
    """Return whether a time in milliseconds is about now."""
    return abs(time_ms / 1000 - time.time()) < _UNIT_S
