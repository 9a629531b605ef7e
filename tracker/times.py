"""Reads times as people write them."""

from datetime import UTC, datetime

from tracker.errors import InvalidQuery

_MAX_TIME_DIGITS = 15  # until the year 33658


def read_time(text: str) -> int:
    """Read a time in ISO 8601 (UTC, unless it says otherwise) or in ms since 1970; return the latter.

    :raises InvalidQuery: it is neither.
    """
    if text.isascii() and text.isdecimal() and len(text) <= _MAX_TIME_DIGITS:
        return int(text)
    try:
        time = datetime.fromisoformat(text)
        time_ms = round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        time_ms = -1
    if time_ms < 0:
        raise InvalidQuery(
            f"{text[:100]!r} is not a time since 1970: ISO 8601, such as 2026-03-01T12:00Z, or milliseconds"
        )
    return time_ms
