"""How a worker waits for what is away, and shows that it still makes progress."""

import math
import threading
import time
from collections.abc import Callable

from confluent_kafka import KafkaException

from tracker.errors import DatabaseUnavailable, TrackerError
from tracker.kafka.errors import reason_of
from tracker.obstacles import Cause
from tracker.store.explain import PASSING
from tracker.waiting import StopDeadline, Stopping

_HANGS_AFTER_S = 120.0  # the main thread's longest wait is for batches in a rebalance, twice 10 s


class Waits:
    """The waits of one worker. The thread that creates this object is its main thread.

    All of them raise `Stopping` when the worker has been stopping for longer than `grace_s`. What a thread
    waits for is among the `obstacles` until the thread continues.
    """

    def __init__(self, stopping: threading.Event, grace_s: float) -> None:
        self.stop_deadline = StopDeadline(stopping, grace_s)
        self.obstacles = self.stop_deadline.obstacles
        self.stopping = stopping
        self._main_thread = threading.current_thread()
        self._progress_monotonic_s = math.inf  # when the main thread last called `mark_progress`

    @property
    def on_main_thread(self) -> bool:
        """Whether the caller is the main thread."""
        return threading.current_thread() is self._main_thread

    def mark_progress(self) -> None:
        """Show that the main thread makes progress. After the first call, it must call this regularly."""
        self._progress_monotonic_s = time.monotonic()

    def disarm_watchdog(self) -> None:
        """Expect no more calls of `mark_progress`."""
        self._progress_monotonic_s = math.inf

    def hangs(self) -> str:
        """Return the name of the call to Kafka in which the main thread hangs; empty: none."""
        silent_s = time.monotonic() - self._progress_monotonic_s
        return "a call of the consumer" if silent_s > _HANGS_AFTER_S else ""

    def for_database(self, call: Callable[[], object]) -> None:
        """Repeat a call until PostgreSQL is there, and allows it.

        :raises Stopping: the worker is to stop.
        """
        while True:
            try:
                call()
            except TrackerError as error:
                if not isinstance(error, DatabaseUnavailable) and not isinstance(error.__cause__, PASSING):
                    raise
                self.obstacles.report(Cause.DATABASE, str(error))
                self.stop_deadline.pause(1.0, self.stopping.is_set)
                if self.stopping.is_set():
                    raise Stopping from None
            else:
                self.obstacles.clear()
                return

    def for_kafka(self, call: Callable[[], None]) -> None:
        """Repeat a call until Kafka is there. It does not clear the obstacle: only a publication does."""
        while True:
            try:
                call()
                return
            except KafkaException as error:
                self.for_broker(error)

    def for_broker(self, error: KafkaException) -> None:
        """Report the error of a call as an obstacle, and wait a second before the call is repeated."""
        self.obstacles.report(Cause.KAFKA, reason_of(error.args[0]))
        if self.on_main_thread:
            self.mark_progress()
        self.stop_deadline.pause(1.0)
