"""What goes on between a worker's threads."""

import threading
import time
from collections.abc import Callable

from tracker.kafka.errors import Stopping


class InFlight:
    """Counts the batches that were polled and are neither published nor given up."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()
        self.last_progress_monotonic_s = time.monotonic()

    def begin(self) -> None:
        """Count one more."""
        with self._changed:
            self._count += 1
            if self._count == 1:
                self.last_progress_monotonic_s = time.monotonic()

    def end(self) -> None:
        """Count one less."""
        with self._changed:
            self._count -= 1
            self.last_progress_monotonic_s = time.monotonic()
            self._changed.notify_all()

    def wait_for_none(self, timeout_s: float) -> bool:
        """Return whether none is left, waiting for that as long as it takes, up to `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count == 0, timeout_s)

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return self._count > 0


class Patience:
    """Says for how long to go on with what does not succeed: until some time after the process is to stop."""

    def __init__(self, stopping: threading.Event, grace_s: float) -> None:
        self._stopping = stopping
        self._grace_s = grace_s
        self._ends: float | None = None
        self.waiting_for = (
            ""  # what is away, while it is: for people, and so that the supervisor is patient too
        )

    def check(self) -> None:
        """Do nothing, or, once the grace after the stop is over, raise.

        :raises Stopping: the process has waited long enough.
        """
        if self._stopping.is_set():
            self._ends = self._ends or time.monotonic() + self._grace_s
            if time.monotonic() >= self._ends:
                raise Stopping

    def pause(self, seconds: float, waiting_for: str, given_up: Callable[[], bool] = lambda: False) -> None:
        """Wait, in small steps, unless `given_up` says that it is no use.

        :raises Stopping: see `check`.
        """
        self.waiting_for = waiting_for
        until = time.monotonic() + seconds
        while time.monotonic() < until and not given_up():
            self.check()
            time.sleep(0.02)
