"""How many bytes a producer puts into one batch of records."""

import time
from collections.abc import Callable

MIN_BYTES = 16_384
SMALL_FOR_S = 600.0  # then the topic may take large batches again; each try costs an abort


class BatchSize:
    """The `batch.size` of a producer. It is smaller for a while after a topic refused large batches."""

    def __init__(self, full_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.size_bytes = self._full_bytes = full_bytes
        self._clock = clock
        self._small_until_s = 0.0

    def shrink(self) -> None:
        """Use a quarter of the size from now on."""
        self.size_bytes = max(self.size_bytes // 4, min(MIN_BYTES, self._full_bytes))
        self._small_until_s = self._clock() + SMALL_FOR_S

    def grow(self) -> bool:
        """Use the full size again if it has been small for long enough; return whether it has changed."""
        if self.size_bytes == self._full_bytes or self._clock() <= self._small_until_s:
            return False
        self.size_bytes = self._full_bytes
        return True
