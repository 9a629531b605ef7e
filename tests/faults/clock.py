"""Gives a process a wrong clock: Python's clock, and the timestamps of its Kafka messages.

librdkafka reads the machine's clock itself, to give a timestamp to a message that has none; brokers check
those. So here a producer gives each message the timestamp that librdkafka would give it on a machine with
that clock. Durations stay right, as they do when somebody sets the clock of a machine.
"""

import time
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

VARIABLE = "CLOCK_FILE"

_READ_EVERY_S = 0.1


class Clock:
    """Reads from a file by how many seconds the clock is wrong. The file may change."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offset_s = 0
        self._read_s = float("-inf")

    @property
    def offset_s(self) -> int:
        """How many seconds the clock is ahead."""
        if time.monotonic() > self._read_s + _READ_EVERY_S:
            self._read_s = time.monotonic()
            self._offset_s = int(self._file.read_text() or self._offset_s)
        return self._offset_s


def set_wrong(file: Path) -> None:
    """Make this process's clock wrong by the seconds in the file."""
    clock, now, now_ns = Clock(file), time.time, time.time_ns
    time.time = lambda: now() + clock.offset_s
    time.time_ns = lambda: now_ns() + clock.offset_s * 1_000_000_000

    class StampingProducer(Producer):
        def produce(self, *arguments: Any, **others: Any) -> None:
            others.setdefault("timestamp", time.time_ns() // 1_000_000)
            super().produce(*arguments, **others)

    from tracker.kafka import producer

    setattr(producer, "Producer", StampingProducer)  # noqa: B010 - mypy knows better
