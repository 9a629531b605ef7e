"""Send messages at a steady rate, without waiting for their results, and see when they arrive.

A sender that waited for its messages would send less to a slow system, and hide its latency. So message n is
due at n / rate, and its latency counts from then, however late it was sent.
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
from bench.servers import end_offsets
from bench.workload import ProducerRecord, number_of

_PAUSE_S = 0.0005
_MAX_RECORDS = 10_000
_CALL_TIMEOUT_S = 60.0


class Sender:
    """Sends messages to a topic one by one, without a transaction and without waiting to fill batches."""

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

    def send(self, message: ProducerRecord) -> None:
        """Send a message; wait only if the producer's queue is full."""
        while True:
            try:
                self._producer.produce(self._topic, message.value, message.key, message.kafka_partition)
                return
            except BufferError:
                self._producer.poll(0.01)

    def send_at_rate(self, messages: Sequence[ProducerRecord], rate: float, began: float) -> None:
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
        """Wait until the brokers have all messages.

        :raises KafkaException: they refuse one.
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
    """Reads committed records as soon as they are visible, in a thread, from the present end of the topic.

    The thread calls `on_records` with the time (`time.monotonic`) at which it saw them.
    """

    def __init__(
        self,
        clients: Mapping[str, Any],
        topic: str,
        kafka_partitions: int,
        on_records: Callable[[float, list[Message]], None],
    ) -> None:
        self._on_records = on_records
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self.first = end_offsets(AdminClient(dict(clients)), topic, kafka_partitions, committed=True)
        self._consumer = Consumer(
            {
                **clients,
                "group.id": f"{topic}-reader",  # required, but unused: it neither subscribes nor commits
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
        """Raise the error that has ended the thread, if there is one."""
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                first = self._consumer.poll(0.05)
                if first is None:
                    continue
                records = [first, *self._consumer.consume(_MAX_RECORDS, 0)]
                now = time.monotonic()
                for record in records:
                    error = record.error()
                    if error is not None:
                        raise KafkaException(error)
                self._on_records(now, records)
        except BaseException as error:  # noqa: BLE001 - raised by `check`
            self._failure = error


class Arrivals:
    """When each of `size` numbered messages has arrived; none of them may arrive twice."""

    def __init__(self, size: int) -> None:
        self.times = array("d", [nan]) * size
        self._missing = size

    def record(self, now: float, records: Iterable[Message]) -> None:
        """Record that messages have arrived. A Reader calls it.

        :raises WrongResult: a message has arrived before.
        """
        times = self.times
        for record in records:
            number = number_of(record.value() or b"")
            if not isnan(times[number]):
                raise WrongResult(f"message {number} has arrived twice")
            times[number] = now
            self._missing -= 1

    def wait(self, checks: Sequence[Callable[[], None]], timeout_s: float) -> None:
        """Wait until all messages have arrived.

        :raises BenchError: none has arrived for `timeout_s`.
        """
        wait_for_zero(lambda: self._missing, checks, timeout_s, "messages have not arrived")


def wait_for_zero(
    remaining: Callable[[], int], checks: Sequence[Callable[[], None]], timeout_s: float, what: str
) -> None:
    """Wait until `remaining` returns 0, and call `checks` meanwhile. `what` says what remains.

    :raises BenchError: the number has not fallen for `timeout_s`.
    """
    least, fell_at = remaining(), time.monotonic()
    while (now_remaining := remaining()) > 0:
        for check in checks:
            check()
        if now_remaining < least:
            least, fell_at = now_remaining, time.monotonic()
        elif time.monotonic() - fell_at > timeout_s:
            raise BenchError(f"{now_remaining:,} {what}, without progress for {timeout_s:.0f} s")
        time.sleep(0.005)
