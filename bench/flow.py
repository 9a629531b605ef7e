"""Messages that are sent at a steady rate, whatever becomes of them, and seen when they arrive.

A sender that waited for what it has sent would measure a system that is slow as one that is asked little. So
message n is due at n / rate, and its latency counts from then, however late it was sent.
"""

import threading
import time
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isnan, nan
from typing import Any, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from bench.errors import BenchError, WrongResult
from bench.servers import ends
from bench.workload import Load, number_of

_PAUSE_S = 0.0005
_AT_ONCE = 10_000
_CALL_TIMEOUT_S = 60.0


class Sender:
    """Sends messages one by one to a topic, without a transaction and without waiting to fill batches."""

    def __init__(self, clients: Mapping[str, Any], topic: str) -> None:
        self._topic = topic
        self._refused: KafkaError | None = None
        self._producer = Producer(
            {
                **clients,
                "enable.idempotence": True,
                "delivery.report.only.error": True,
                "on_delivery": self._on_delivery,
            }
        )

    def send(self, message: Load) -> None:
        """Send one; wait only where too many are on the way."""
        while True:
            try:
                self._producer.produce(self._topic, message.value, message.key, message.kafka_partition)
                return
            except BufferError:
                self._producer.poll(0.01)

    def send_at_rate(self, messages: Sequence[Load], rate: float, began: float) -> None:
        """Send each when it is due, message n at `began + n / rate` (`time.monotonic`)."""
        sent = 0
        while sent < len(messages):
            due = min(len(messages), int((time.monotonic() - began) * rate) + 1)
            for message in messages[sent:due]:
                self.send(message)
            sent = due
            self._producer.poll(0)
            time.sleep(_PAUSE_S)
        self.flush()

    def flush(self) -> None:
        """Wait until the brokers have everything.

        :raises KafkaException: they refuse it.
        """
        while self._producer.flush(1.0):
            self._check()
        self._check()

    def _check(self) -> None:
        if self._refused is not None:
            raise KafkaException(self._refused)

    def _on_delivery(self, error: KafkaError | None, _message: Message) -> None:
        self._refused = self._refused or error


class Reader:
    """Reads committed records as soon as they are visible, in a thread, from where the topic ends now.

    `on_records` is called in there, with the time (`time.monotonic`) at which it saw them.
    """

    def __init__(
        self,
        clients: Mapping[str, Any],
        topic: str,
        partitions: int,
        on_records: Callable[[float, list[Message]], None],
    ) -> None:
        self._on_records = on_records
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self.first = ends(AdminClient(dict(clients)), topic, partitions, committed=True)
        self._consumer = Consumer(
            {
                **clients,
                "group.id": f"{topic}-reader",  # needed, and never used: it neither subscribes nor commits
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 100,
            }
        )
        self._consumer.assign([TopicPartition(topic, number, at) for number, at in self.first.items()])
        self._thread = threading.Thread(target=self._run, name="reader")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._consumer.close()

    def check(self) -> None:
        """Raise what has ended the reading, if something has."""
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                first = self._consumer.poll(0.05)
                if first is None:
                    continue
                records = [first, *self._consumer.consume(_AT_ONCE, 0)]
                now = time.monotonic()
                for record in records:
                    error = record.error()
                    if error is not None:
                        raise KafkaException(error)
                self._on_records(now, records)
        except BaseException as error:  # noqa: BLE001 - handed over, see `check`
            self._failure = error


class Arrivals:
    """When each of so many numbered messages has arrived, and that none came twice."""

    def __init__(self, size: int) -> None:
        self.times = array("d", [nan]) * size
        self._left = size

    def note(self, now: float, records: Iterable[Message]) -> None:
        """Take note of records that were seen now. To be given to a Reader."""
        times = self.times
        for record in records:
            number = number_of(record.value() or b"")
            if not isnan(times[number]):
                raise WrongResult(f"message {number} has come twice")
            times[number] = now
            self._left -= 1

    def wait(self, checks: Sequence[Callable[[], None]], timeout_s: float) -> None:
        """Wait until all have arrived.

        :raises BenchError: none has for `timeout_s`.
        """
        wait_while(lambda: self._left, checks, timeout_s, "messages have not arrived")


def wait_while(
    left: Callable[[], int], checks: Sequence[Callable[[], None]], timeout_s: float, what: str
) -> None:
    """Wait until nothing is left, calling `checks` now and then.

    :raises BenchError: it has not become less for `timeout_s`.
    """
    before, moved = left(), time.monotonic()
    while (now_left := left()) > 0:
        for check in checks:
            check()
        if now_left < before:
            before, moved = now_left, time.monotonic()
        elif time.monotonic() - moved > timeout_s:
            raise BenchError(f"{now_left:,} {what}, and nothing has moved for {timeout_s:.0f} s")
        time.sleep(0.005)
