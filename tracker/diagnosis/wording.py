"""Words, times and numbers of the sentences of a diagnosis."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return ``1 task``, ``2,000 tasks``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def in_ms(time: datetime | None) -> int | None:
    """Return a time in ms since 1970."""
    return None if time is None else (time - _EPOCH) // _MILLISECOND


def time_text(time: datetime) -> str:
    """Return a time in UTC, to the second."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def since_text(time: datetime | None, now: datetime) -> str:
    """Return ``for 3 minutes``, or nothing if the time is not known."""
    return "" if time is None else f" for {duration_text((now - time).total_seconds())}"


def duration_text(seconds: float) -> str:
    """Return a duration in its largest unit."""
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * size or (seconds >= size and unit != "minute"):
            return counted(int(seconds // size), unit)
    return counted(max(int(seconds), 0), "second")


def listed(names: Sequence[str], count: int) -> str:
    """Return the first of `count` names, and how many more there are."""
    text = ", ".join(names)
    return text if count <= len(names) else f"{text}, and {count - len(names):,} more"
