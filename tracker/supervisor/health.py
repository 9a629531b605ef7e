"""Whether the tracker is alive, and whether it is ready: the answers of ``/livez`` and ``/readyz``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from tracker.supervisor.children import Child

LOOP_LIMIT_S = 30.0
"""The supervisor's loop turns at least once a second. Other threads answer, so they must look at it."""


class Health:
    """What the loop tells of itself, and the conclusions. Any thread may ask; only the loop writes.

    `waiting_for`: what has to be had before there can be children; None when it is there.

    `slots_trouble`: why the slots are not held at the moment; the children go on all the same.

    `has_begun`: all children have been ready at once, at some time. Until then one that is not keeps the
    tracker from being ready. Afterwards it is ready while any Kafka partition can move: one destination
    without a leader, which any message can name, must not make it unready everywhere.
    """

    def __init__(self) -> None:
        self.children: Sequence[Child] = ()
        self.waiting_for: str | None = "starting"
        self.slots_trouble: str | None = None
        self.stopping = False
        self.refusals: dict[str, str] = {}  # of children that are not started again, in their words
        self.turned_s = time.monotonic()
        self.has_begun = False

    def problems(self) -> dict[str, str]:
        """Return what is wrong that waiting will not mend, by process; empty means alive."""
        now_s = time.monotonic()
        found = {child.spec.name: text for child in self.children if (text := _problem(child, now_s))}
        if now_s - self.turned_s > LOOP_LIMIT_S:
            found["supervisor"] = f"its loop has not run for {now_s - self.turned_s:.0f} s"
        return found

    def missing(self) -> dict[str, str]:
        """Return why nothing can move, by process; empty means ready."""
        if self.refusals:
            return dict(self.refusals)
        if self.stopping:
            return {"supervisor": "stopping"}
        if self.waiting_for is not None:
            return {"database": self.waiting_for}
        if not self.children:
            return {"supervisor": "starting"}
        if not self.has_begun:
            return self._lacks()
        return {} if self._can_move() else self._complaints()

    def degraded(self) -> dict[str, str]:
        """Return what is wrong although the tracker is ready, by process."""
        return {} if self.missing() else self._complaints()

    def look(self) -> None:
        """Notice that all children are ready; for the loop."""
        self.has_begun = self.has_begun or (bool(self.children) and not self._lacks())

    def _lacks(self) -> dict[str, str]:
        return {child.spec.name: text for child in self.children if (text := _lack(child))}

    def _complaints(self) -> dict[str, str]:
        found = {child.spec.name: text for child in self.children if (text := _lack(child) or _wait(child))}
        if self.slots_trouble is not None:
            found["supervisor"] = f"waiting for PostgreSQL: {self.slots_trouble}"
        return found

    def _can_move(self) -> bool:
        """Whether a Kafka partition of this tracker can; where it has none, whether one that came could."""
        workers = [child for child in self.children if child.spec.is_worker] or list(self.children)
        free = [child for child in workers if child.is_free]
        if any(_kafka_partitions(child) for child in workers):
            free = [child for child in free if _kafka_partitions(child)]
        return bool(free)


def answer(health: Health) -> tuple[bool, Mapping[str, object]]:
    """Return whether it is ready, and what ``/readyz`` says."""
    missing = health.missing()
    return not missing, {"ready": not missing, "missing": missing, "degraded": health.degraded()}


def _problem(child: Child, now_s: float) -> str:
    if child.is_failing(now_s):
        return f"keeps ending, {child.failures} times in a row"
    if child.hangs:
        return f"hangs in {child.hangs}"
    if child.is_stuck(now_s):
        return f"no progress for {child.idle_s(now_s):.0f} s"
    return ""


def _lack(child: Child) -> str:
    status = child.status
    if status is None:
        return "starting" if child.process is not None else "waiting to be restarted"
    return "" if status.ready else status.detail or "not ready"


def _wait(child: Child) -> str:
    status = child.status
    return "; ".join(map(str, status.obstacles)) if status is not None else ""


def _kafka_partitions(child: Child) -> int:
    status = child.status
    return status.kafka_partitions if status is not None else 0
