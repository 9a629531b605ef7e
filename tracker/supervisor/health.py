"""Whether the tracker is alive, and whether it is ready: the answers of ``/livez`` and ``/readyz``."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tracker.supervisor.children import Child

LOOP_LIMIT_S = 30.0
"""The supervisor's loop turns at least once a second. Other threads answer, so they must look at it."""


class Health:
    """What the loop tells of itself, and the conclusions. Any thread may ask; only the loop writes.

    `waiting_for`: what has to be had before there can be children; None when it is there.
    """

    def __init__(self) -> None:
        self.children: Sequence[Child] = ()
        self.waiting_for: str | None = "starting"
        self.stopping = False
        self.refusals: dict[str, str] = {}  # of children that are not started again, in their words
        self.turned_s = time.monotonic()

    def problems(self) -> dict[str, str]:
        """Return what is wrong that waiting will not mend, by process; empty means alive."""
        now_s = time.monotonic()
        found = {child.spec.name: text for child in self.children if (text := _problem(child, now_s))}
        if now_s - self.turned_s > LOOP_LIMIT_S:
            found["supervisor"] = f"its loop has not turned for {now_s - self.turned_s:.0f} s"
        return found

    def missing(self) -> dict[str, str]:
        """Return what is not there yet, by process; empty means ready."""
        if self.refusals:
            return dict(self.refusals)
        if self.stopping:
            return {"supervisor": "stopping"}
        if self.waiting_for is not None:
            return {"database": self.waiting_for}
        found = {child.spec.name: text for child in self.children if (text := _lack(child))}
        return found or ({} if self.children else {"supervisor": "starting"})


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
        return "starting" if child.process is not None else "to be started again"
    return "" if status.ready else status.detail or "not ready"
