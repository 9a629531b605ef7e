"""How long a process waits for what is away."""

import threading
import time
from collections.abc import Callable

from tracker.obstacles import Obstacles


class Stopping(Exception):
    """The process is to stop, and no longer waits for what it was waiting for."""


class StopDeadline:
    """Says for how long to go on with what does not succeed: until some time after the process is to stop.

    `obstacles`: what is away, while it is: for people, and so that the supervisor is patient too.
    """

    def __init__(self, stopping: threading.Event, grace_s: float) -> None:
        self.obstacles = Obstacles()
        self._stopping = stopping
        self._grace_s = grace_s
        self._ends: float | None = None

    def check(self) -> None:
        """Do nothing, or, once the grace after the stop is over, raise.

        :raises Stopping: the process has waited long enough.
        """
        if self._stopping.is_set() and self.left_s() <= 0:
            raise Stopping

    def left_s(self) -> float:
        """Return how much of the grace is left; called once the process is to stop, or is about to."""
        self._ends = self._ends or time.monotonic() + self._grace_s
        return max(0.0, self._ends - time.monotonic())

    def pause(self, seconds: float, given_up: Callable[[], bool] = lambda: False) -> None:
        """Wait, in small steps, unless `given_up` says that it is no use.

        :raises Stopping: see `check`.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until and not given_up():
            self.check()
            time.sleep(0.02)
