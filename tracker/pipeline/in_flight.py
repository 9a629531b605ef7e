"""The batches that a worker's threads are working on."""

import threading
import time


class InFlight:
    """Counts the batches that were polled and are neither published nor given up.

    Who begins to count a batch hands the duty to end it on together with the batch.
    """

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()
        self._unpublished_since_s: float | None = None
        self.last_progress_monotonic_s = time.monotonic()
        self.last_published_monotonic_s = 0.0

    def begin(self) -> None:
        """Count one more."""
        with self._changed:
            self._count += 1
            if self._count == 1:
                self.last_progress_monotonic_s = time.monotonic()
            self._unpublished_since_s = self._unpublished_since_s or time.monotonic()

    def end(self, *, published: bool = False) -> None:
        """Count one less."""
        with self._changed:
            self._count -= 1
            self.last_progress_monotonic_s = time.monotonic()
            if published:
                self.last_published_monotonic_s = self.last_progress_monotonic_s
                self._unpublished_since_s = self.last_progress_monotonic_s if self._count else None
            self._changed.notify_all()

    def nothing_to_do(self) -> None:
        """Notice that no record came while there was no batch: what was given up is others' work now."""
        with self._changed:
            if self._count == 0:
                self._unpublished_since_s = None

    def stalled_since(self) -> float | None:
        """Return since when there has been work, and none of it was published; None: there is none."""
        return self._unpublished_since_s

    def wait_for_none(self, timeout_s: float) -> bool:
        """Return whether none is left, waiting for that as long as it takes, up to `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count <= 0, timeout_s)

    def wait_for_fewer(self, timeout_s: float) -> None:
        """Wait until one is finished or given up, or that time has passed."""
        with self._changed:
            self._changed.wait(timeout_s)

    @property
    def count(self) -> int:
        """How many there are."""
        return self._count

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return self._count > 0
