"""What a process waits for, in words that the log, ``/readyz`` and the metrics share.

Whatever ``/readyz`` says was logged first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from tracker.logs import get_logger

STALLED_S = 60.0

# A reason is logged when it is found, but not again within one of these times. So no reason may have a number
# in it that grows while it stays: each would be another reason.
_REPEAT_S = 30.0  # if it has stayed
_CHANGED_S = 5.0  # if it was gone, or was another meanwhile

log = get_logger()


class Cause(StrEnum):
    """What a process waits for. The values label a metric."""

    DATABASE = "database"
    KAFKA = "kafka"
    TOPICS = "topics"  # the tracker's own topics
    DESTINATION = "destination"
    CLOCK = "clock"  # this machine's
    RECORD = "record"  # one that cannot be received
    UNKNOWN = "unknown"  # nothing moves, without a known reason


_EVENTS = {
    Cause.DATABASE: "waiting for PostgreSQL",
    Cause.KAFKA: "waiting for Kafka",
    Cause.TOPICS: "waiting for topics",
    Cause.DESTINATION: "waiting for a destination",
    Cause.CLOCK: "waiting for the clock",
    Cause.RECORD: "waiting at a record",
    Cause.UNKNOWN: "waiting without a known reason",
}


class Obstacle(NamedTuple):
    """Why a process cannot continue with its work: with all of it if it `blocks`, otherwise with a part."""

    cause: Cause
    reason: str
    blocks: bool = True

    def __str__(self) -> str:
        return f"{_EVENTS[self.cause]}: {self.reason}"


class Obstacles:
    """What a process waits for now. Any thread may call any method.

    Each thread reports and clears only its own obstacle, so that a thread that succeeds does not hide what
    another one waits for. An observer that is not a thread has a name of its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now: dict[str, tuple[Obstacle, ...]] = {}
        self._since: dict[tuple[str, Cause], float] = {}
        # When each reason was logged, in this order. Rejected: at most one changed reason in 5 s, which left
        # out reasons that `/readyz` showed.
        self._logged: dict[tuple[str, Cause], dict[str, float]] = {}

    def report(self, cause: Cause, reason: str) -> None:
        """Set what the calling thread waits for."""
        self.observe(threading.current_thread().name, [Obstacle(cause, reason)])

    def clear(self) -> None:
        """Remove what the calling thread waited for: it continues."""
        self.observe(threading.current_thread().name, ())

    def observe(self, observer: str, obstacles: Iterable[Obstacle]) -> None:
        """Replace all obstacles that `observer` finds, and log what has changed."""
        found = tuple(obstacles)
        if not found and observer not in self._now:
            return  # nearly always: without the lock
        with self._lock:
            before = self._now.pop(observer, ())
            if found:
                self._now[observer] = found
            reasons = _by_cause(found)
            for cause, reason in reasons.items():
                self._log_new(observer, cause, reason, is_new=cause not in _by_cause(before))
            for cause in _by_cause(before).keys() - reasons.keys():
                self._log_gone(observer, cause)

    def now(self) -> tuple[Obstacle, ...]:
        """Return all obstacles, without those that say the same; those that block come first."""
        with self._lock:
            all_ = {obstacle for found in self._now.values() for obstacle in found}
        blocking = {str(obstacle) for obstacle in all_ if obstacle.blocks}
        return tuple(
            sorted(
                (each for each in all_ if each.blocks or str(each) not in blocking),
                key=lambda each: (not each.blocks, str(each)),
            )
        )

    def now_or_stall(self, stalled_since_monotonic_s: float | None) -> tuple[Obstacle, ...]:
        """Return all obstacles; if there are none, but nothing has moved for long, return one for that."""
        known = tuple(each for each in self.now() if each.cause is not Cause.UNKNOWN)
        since_s = stalled_since_monotonic_s
        is_stalled = since_s is not None and time.monotonic() - since_s >= STALLED_S
        stall = (Obstacle(Cause.UNKNOWN, f"no work was finished for {STALLED_S:.0f} s"),)
        found = known or stall * is_stalled
        self.observe("stall", () if known else found)
        return found

    def _log_new(self, observer: str, cause: Cause, reason: str, *, is_new: bool) -> None:
        now, key = time.monotonic(), (observer, cause)
        if is_new:
            self._since[key] = now
        logged = {text: at for text, at in self._logged.get(key, {}).items() if now - at < _REPEAT_S}
        has_stayed = not is_new and reason == next(reversed(logged), None)
        if reason not in logged or (not has_stayed and now - logged[reason] >= _CHANGED_S):
            logged.pop(reason, None)
            self._logged[key] = logged | {reason: now}
            log.warning(_EVENTS[cause], reason=reason)

    def _log_gone(self, observer: str, cause: Cause) -> None:
        since = self._since.pop((observer, cause))
        if next(reversed(self._logged[observer, cause].values())) >= since:
            seconds = round(time.monotonic() - since, 1)
            log.info("no longer waiting", cause=cause, seconds=seconds)


def _by_cause(obstacles: Iterable[Obstacle]) -> dict[Cause, str]:
    reasons: dict[Cause, str] = {}
    for each in obstacles:
        reasons[each.cause] = (
            f"{reasons[each.cause]}; {each.reason}" if each.cause in reasons else each.reason
        )
    return reasons
