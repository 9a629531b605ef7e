"""Whether the tracker is alive, and whether it is ready: the answers of ``/livez`` and ``/readyz``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from tracker.supervisor.children import Child

LOOP_LIMIT_S = 30.0
"""The loop runs at least once a second. Other threads answer requests, so they must check the loop."""


class Health:
    """The state of the loop and its children. Any thread may ask; only the loop writes.

    `waiting_for`: what is needed before children can be started; None: it is there.

    `slots_waiting_for`: why the slots are not held at the moment; the children continue meanwhile.

    `has_begun`: all children have been ready at the same time. Until then, one child that is not ready makes
    the tracker unready. Afterwards the tracker is ready while any Kafka partition can move: one destination
    without a leader, which any message can name, must not make it unready everywhere.
    """

    def __init__(self) -> None:
        self.children: Sequence[Child] = ()
        self.waiting_for: str | None = "starting"
        self.slots_waiting_for: str | None = None
        self.stopping = False
        self.refusals: dict[str, str] = {}  # why children are not restarted, by name
        self.last_loop_s = time.monotonic()
        self.has_begun = False

    def problems(self) -> dict[str, str]:
        """Return problems that waiting will not solve, by process; empty: it is alive."""
        now_s = time.monotonic()
        found = {child.spec.name: text for child in self.children if (text := _why_not_live(child, now_s))}
        if now_s - self.last_loop_s > LOOP_LIMIT_S:
            found["supervisor"] = f"its loop has not run for {now_s - self.last_loop_s:.0f} s"
        return found

    def missing(self) -> dict[str, str]:
        """Return why nothing can move, by process; empty: it is ready."""
        if self.refusals:
            return dict(self.refusals)
        if self.stopping:
            return {"supervisor": "stopping"}
        if self.waiting_for is not None:
            return {"database": self.waiting_for}
        if not self.children:
            return {"supervisor": "starting"}
        if not self.has_begun:
            return self._not_ready()
        return {} if self._can_move() else self._waits()

    def degraded(self) -> dict[str, str]:
        """Return what waits although the tracker is ready, by process."""
        return {} if self.missing() else self._waits()

    def update(self) -> None:
        """Set `has_begun` if all children are ready; for the loop."""
        self.has_begun = self.has_begun or (bool(self.children) and not self._not_ready())

    def _not_ready(self) -> dict[str, str]:
        return {child.spec.name: text for child in self.children if (text := _why_not_ready(child))}

    def _waits(self) -> dict[str, str]:
        found = {child.spec.name: text for child in self.children if (text := why_waiting(child))}
        if self.slots_waiting_for is not None:
            found["supervisor"] = f"waiting for PostgreSQL: {self.slots_waiting_for}"
        return found

    def _can_move(self) -> bool:
        """Return whether one of its Kafka partitions can move; if there is none, whether one could."""
        workers = [child for child in self.children if child.spec.is_worker] or list(self.children)
        able = [child for child in workers if child.can_work]
        if any(_kafka_partitions(child) for child in workers):
            able = [child for child in able if _kafka_partitions(child)]
        return bool(able)


def answer(health: Health) -> tuple[bool, Mapping[str, object]]:
    """Return whether the tracker is ready, and what ``/readyz`` answers."""
    missing = health.missing()
    return not missing, {"ready": not missing, "missing": missing, "degraded": health.degraded()}


def why_waiting(child: Child) -> str:
    """Return what a child waits for, whether it is ready or not; empty: nothing. Any thread may ask."""
    return _why_not_ready(child) or _why_waiting(child)


def _why_not_live(child: Child, now_s: float) -> str:
    if child.is_failing(now_s):
        return f"keeps ending, {child.failures} times in a row"
    if child.hangs:
        return f"hangs in {child.hangs}"
    if child.is_stuck(now_s):
        return f"no progress for {child.stalled_s(now_s):.0f} s"
    return ""


def _why_not_ready(child: Child) -> str:
    status = child.status
    if status is None:
        return "starting" if child.process is not None else "waiting to be restarted"
    return "" if status.ready else status.detail or "not ready"


def _why_waiting(child: Child) -> str:
    status = child.status
    return "; ".join(map(str, status.obstacles)) if status is not None else ""


def _kafka_partitions(child: Child) -> int:
    status = child.status
    return status.kafka_partitions if status is not None else 0
