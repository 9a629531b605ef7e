"""Watches the jobs until all have ended, and cancels one of them."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from tracker import Client, Job
from tracker.demo.jobs import CANCEL_AT_PERCENT, PARTITION_ID, DemoError, DemoJob

_POLL_INTERVAL_S = 0.15
_STALL_TIMEOUT_S = 60.0
_RATE_WINDOW_S = 2.0  # the workers publish their counts once a second


class Speed:
    """The rate of messages, from readings of a counter."""

    def __init__(self) -> None:
        self.messages = 0
        self.best = 0.0
        self._readings: deque[tuple[float, int]] = deque()

    def read(self, messages: int) -> None:
        """Add a reading."""
        now_s = time.monotonic()
        self.messages = messages
        self._readings.append((now_s, messages))
        while len(self._readings) > 2 and self._readings[1][0] < now_s - _RATE_WINDOW_S:
            self._readings.popleft()
        if now_s - self._readings[0][0] >= _RATE_WINDOW_S:
            self.best = max(self.best, self.now)

    @property
    def now(self) -> float:
        """The rate of the last two seconds."""
        if len(self._readings) < 2:
            return 0.0
        (first_s, first), (last_s, last) = self._readings[0], self._readings[-1]
        return (last - first) / (last_s - first_s)


Show = Callable[[Mapping[str, Job], Speed], None]


def watch(
    client: Client,
    jobs: Sequence[DemoJob],
    count_messages: Callable[[], int | None],
    show: Show,
    say: Callable[[str], None],
) -> tuple[dict[str, Job], Speed]:
    """Show the jobs until all that are not stuck have ended; return them as they are then, and the speed.

    :raises DemoError: nothing has moved for a long time.
    """
    speed = Speed()
    to_end = {job.id for job in jobs if not job.stuck}
    to_cancel = {job.id for job in jobs if job.cancelled}
    moved_s = time.monotonic()
    before: dict[str, Job] = {}
    while True:
        found = {job.id: job for job in client.list(partition_id=PARTITION_ID, limit=0)}
        messages = count_messages()
        if messages is not None:
            speed.read(messages)
        show(found, speed)
        for job_id in sorted(to_cancel):
            if found[job_id].percentage_complete >= CANCEL_AT_PERCENT:
                to_cancel.remove(job_id)
                client.cancel(str(found[job_id]))
                say(f"{job_id} is cancelled at {found[job_id].percentage_complete:.0f} %.")
        if all(found[job_id].status.ended for job_id in to_end):
            return found, speed
        now_s = time.monotonic()
        if found != before:
            before, moved_s = found, now_s
        elif now_s - moved_s > _STALL_TIMEOUT_S:
            raise DemoError(f"nothing has moved for {_STALL_TIMEOUT_S:.0f} s")
        time.sleep(_POLL_INTERVAL_S)
