"""Log lines that name one job, task or topic out of many, and do not fill the log.

A mistake in a worker can make the tracker drop a million messages. The metrics count all of them. The log
names one of each kind from time to time, and says how many there were.
"""

import math
import threading
import time
from collections.abc import Callable
from typing import Literal

from tracker.logs import get_logger

INTERVAL_S = 10.0
_KINDS = 1_000  # memory stays bounded, whatever callers put into `reason`

Level = Literal["info", "warning", "error"]

_logger = get_logger()


class RateLimitedLog:
    """Logs the first occurrence of each kind, and then one in each interval. Shared by a process's threads.

    A kind is an event with a reason. `clock` is monotonic, in seconds.
    """

    def __init__(self, interval_s: float = INTERVAL_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._lock = threading.Lock()
        # By event and reason: when a line was last logged, and how many occurred since then.
        self._kinds: dict[tuple[str, str], tuple[float, int]] = {}

    def log(
        self,
        level: Level,
        event: str,
        reason: str,
        describe: Callable[[], dict[str, object]],
        count: int = 1,
    ) -> None:
        """Log `event` with its reason and what `describe` returns, unless its kind was logged just now.

        `describe` returns the fields that name one of the `count` occurrences, such as ``job`` and ``task``;
        it is only called for a line that is logged. A line that stands for several has ``occurrences``: how
        many there were since the previous line.
        """
        kind = event, reason
        now = self._clock()
        with self._lock:
            logged, left_out = self._kinds.get(kind, (-math.inf, 0))
            if now < logged + self._interval_s:
                self._kinds[kind] = logged, left_out + count
                return
            if kind not in self._kinds and len(self._kinds) >= _KINDS:
                self._kinds.clear()
            self._kinds[kind] = now, 0
        fields = describe()
        if count + left_out > 1:
            fields["occurrences"] = count + left_out
        getattr(_logger, level)(event, reason=reason, **fields)
