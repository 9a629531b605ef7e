"""How long a process waits for a server that is away."""

import threading
import time
from collections.abc import Callable

from tracker.obstacles import Obstacles


class Stopping(Exception):
    """The process must stop, and ends its waits."""


class StopDeadline:
    """Limits how long failed work is repeated: until a grace period after the process was asked to stop.

    `obstacles`: what is away at present, for people, and so that the supervisor does not kill the process.
    """

    def __init__(self, stopping: threading.Event, grace_s: float) -> None:
        self.obstacles = Obstacles()
        self._stopping = stopping
        self._grace_s = grace_s
        self._ends_monotonic_s: float | None = None

    def check(self) -> None:
        """Raise after the grace period has passed.

        :raises Stopping: the process has waited long enough.
        """
        if self._stopping.is_set() and self.left_s() <= 0:
            raise Stopping

    def left_s(self) -> float:
        """Return how much of the grace period is left. The first call starts it: call it only at a stop."""
        self._ends_monotonic_s = self._ends_monotonic_s or time.monotonic() + self._grace_s
        return max(0.0, self._ends_monotonic_s - time.monotonic())

    def pause(self, seconds: float, is_over: Callable[[], bool] = lambda: False) -> None:
        """Wait, in small steps, until the time has passed or `is_over` returns true.

        :raises Stopping: see `check`.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until and not is_over():
            self.check()
            time.sleep(0.02)
