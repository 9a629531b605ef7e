"""A process whose clock is wrong: what Python's clock says, and the times that its Kafka messages have.

librdkafka reads the machine's clock itself, for one thing that brokers judge: the time of a message that is
given none. So a producer here gives each message the time that librdkafka would give it on a machine with
that clock. Durations stay right, as they do where somebody sets a machine's clock.
"""

import time
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

VARIABLE = "CLOCK_FILE"

_READ_EVERY_S = 0.1


class Clock:
    """Says how far the clock is off: the number of seconds in a file, which may change."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offset_s = 0
        self._read_s = float("-inf")

    @property
    def offset_s(self) -> int:
        """Seconds ahead."""
        if time.monotonic() > self._read_s + _READ_EVERY_S:
            self._read_s = time.monotonic()
            self._offset_s = int(self._file.read_text() or self._offset_s)
        return self._offset_s


def put_wrong(file: Path) -> None:
    """Have this process's clock be off by what the file says."""
    clock, now, now_ns = Clock(file), time.time, time.time_ns
    time.time = lambda: now() + clock.offset_s
    time.time_ns = lambda: now_ns() + clock.offset_s * 1_000_000_000

    class StampingProducer(Producer):
        def produce(self, *arguments: Any, **others: Any) -> None:
            others.setdefault("timestamp", time.time_ns() // 1_000_000)
            super().produce(*arguments, **others)

    from tracker.kafka import producer

    setattr(producer, "Producer", StampingProducer)  # noqa: B010 - mypy knows better
