"""How a worker waits for what is away, and shows that it still goes on."""

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

_HANGS_AFTER_S = 120.0  # of the main thread: its longest wait, in a rebalance, is for batches, twice 10 s


class Waits:
    """The waits of one worker, whose main thread is the one that makes this.

    All of them raise `Stopping` when the worker has been stopping for longer than `grace_s`. What a thread
    waits for is among the `obstacles` until it goes on.
    """

    def __init__(self, stopping: threading.Event, grace_s: float) -> None:
        self.stop_deadline = StopDeadline(stopping, grace_s)
        self.obstacles = self.stop_deadline.obstacles
        self._stopping = stopping
        self._main_thread = threading.current_thread()
        self._turned_monotonic_s = math.inf  # when the main thread last showed that it goes on

    @property
    def on_main_thread(self) -> bool:
        """Whether it is the main thread that asks."""
        return threading.current_thread() is self._main_thread

    def mark_progress(self) -> None:
        """Show that the main thread goes on; from the first time on it is expected to, again and again."""
        self._turned_monotonic_s = time.monotonic()

    def disarm_watchdog(self) -> None:
        """Expect nothing more of the main thread."""
        self._turned_monotonic_s = math.inf

    def hangs(self) -> str:
        """Name the call to Kafka that the main thread does not return from; empty: all is well."""
        still_s = time.monotonic() - self._turned_monotonic_s
        return "a call of the consumer" if still_s > _HANGS_AFTER_S else ""

    def for_database(self, call: Callable[[], object]) -> None:
        """Call until PostgreSQL is there, and allows it.

        :raises Stopping: the worker is to stop.
        """
        while True:
            try:
                call()
            except TrackerError as error:
                if not isinstance(error, DatabaseUnavailable) and not isinstance(error.__cause__, PASSING):
                    raise
                self.obstacles.report(Cause.DATABASE, str(error))
                self.stop_deadline.pause(1.0, self._stopping.is_set)
                if self._stopping.is_set():
                    raise Stopping from None
            else:
                self.obstacles.clear()
                return

    def for_kafka(self, call: Callable[[], None]) -> None:
        """Call until Kafka is there. That something can be published only shows when it is."""
        while True:
            try:
                call()
                return
            except KafkaException as error:
                self.for_broker(error)

    def for_broker(self, error: KafkaException) -> None:
        """Wait a second before a call that had this error is made again."""
        self.obstacles.report(Cause.KAFKA, reason_of(error.args[0]))
        if self.on_main_thread:
            self.mark_progress()
        self.stop_deadline.pause(1.0)
