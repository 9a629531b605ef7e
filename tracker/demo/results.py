"""Reads the results, in the topic at which tracking ends, and the dead letters."""

import base64
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from tracker.demo.servers import Servers, silent

_AT_ONCE = 2_000
_POLL_S = 0.1


class _Result(msgspec.Struct, rename="camel"):
    task_status: str
    task_data: str
    tracking: msgspec.Raw = msgspec.Raw()


class _Page(msgspec.Struct):
    document: str
    page: int


class Arrived:
    """Counts the results and the dead letters."""

    def __init__(self) -> None:
        self.pages: Counter[tuple[str, int]] = Counter()  # (document, page): how often its result came
        self.failures: Counter[str] = Counter()  # partitionId:jobId: how many results were failures
        self.tracked = 0  # results with tracking that has not ended; there must be none
        self.dead_letters = 0

    def add(self, key: str, value: bytes) -> None:
        """Count a result."""
        result = _decode_result(value)
        self.tracked += bytes(result.tracking) != b"null"
        if result.task_status == "RESULT_SUCCESS":
            page = _decode_page(base64.b64decode(result.task_data))
            self.pages[page.document, page.page] += 1
        else:
            self.failures[key] += 1

    def of(self, document: str) -> Counter[int]:
        """Return how often each page of a document has arrived."""
        return Counter({page: count for (name, page), count in self.pages.items() if name == document})


_decode_result = msgspec.json.Decoder(_Result).decode
_decode_page = msgspec.json.Decoder(_Page).decode


class Reader:
    """Reads the results, and counts the dead letters, from the beginning."""

    def __init__(self, servers: Servers) -> None:
        self.arrived = Arrived()
        names = servers.names
        self._dead_letters = names.dead_letters
        counts = names.kafka_partitions()
        self._next = {
            (topic, number): 0
            for topic in (names.results, names.dead_letters)
            for number in range(counts[topic])
        }
        self._consumer = Consumer(
            {
                "bootstrap.servers": servers.bootstrap_servers,
                "group.id": f"{names.group}-demo-reader",  # librdkafka requires one; it is not used
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            },
            logger=silent,
        )

    def read_until(self, enough: Callable[[], bool], timeout_s: float) -> bool:
        """Read until there is enough; return whether there was in time."""
        deadline = time.monotonic() + timeout_s
        self._assign()
        while not enough():
            if time.monotonic() > deadline:
                return False
            self._count_some()
        return True

    def read_to_end(self, timeout_s: float) -> bool:
        """Read everything, after the processes have ended; return whether that took less than the timeout."""
        deadline = time.monotonic() + timeout_s
        ends: set[tuple[str, int]] = set()
        self._assign()  # again, so that librdkafka reports each end
        while ends < self._next.keys():
            if time.monotonic() > deadline:
                return False
            ends |= self._count_some()
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def _assign(self) -> None:
        self._consumer.assign(
            [TopicPartition(*kafka_partition, offset) for kafka_partition, offset in self._next.items()]
        )

    def _count_some(self) -> set[tuple[str, int]]:
        """Count some records; return the Kafka partitions whose end was reached."""
        ends = set()
        for record in self._consumer.consume(_AT_ONCE, _POLL_S):
            kafka_partition = record.topic() or "", record.partition() or 0
            error = record.error()
            if error is None:
                self._next[kafka_partition] = (record.offset() or 0) + 1
                self._count(record)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - one of librdkafka's own codes
                ends.add(kafka_partition)
            else:
                raise KafkaException(error)
        return ends

    def _count(self, record: Message) -> None:
        if record.topic() == self._dead_letters:
            self.arrived.dead_letters += 1
        else:
            self.arrived.add((record.key() or b"").decode(), record.value() or b"")
