"""The batches that a worker's threads are working on."""

import threading
import time


class InFlight:
    """Counts the batches that were polled and are neither published nor dropped.

    A thread that passes on a batch also passes on the duty to call `end` for it.
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

    def record_idle(self) -> None:
        """Call it when no record came: if there is no batch, dropped ones are other workers' work now."""
        with self._changed:
            if self._count == 0:
                self._unpublished_since_s = None

    def stalled_since(self) -> float | None:
        """Return since when there has been work of which nothing was published; None: there is no work."""
        return self._unpublished_since_s

    def wait_for_none(self, timeout_s: float) -> bool:
        """Wait until no batch is left, for at most `timeout_s`; return whether none is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count <= 0, timeout_s)

    def wait_for_fewer(self, timeout_s: float) -> None:
        """Wait until a batch is published or dropped, for at most `timeout_s`."""
        with self._changed:
            self._changed.wait(timeout_s)

    @property
    def count(self) -> int:
        """How many batches are in flight."""
        return self._count

    @property
    def any(self) -> bool:
        """Whether a batch is in flight."""
        return self._count > 0
