"""What has arrived where tracking ends, read as any consumer reads it, and what has become a dead letter."""

import base64
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

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


class Results:
    """Reads the results from the beginning, in step with the tracker or behind it."""

    def __init__(self, servers: Servers) -> None:
        self.pages: Counter[tuple[str, int]] = Counter()  # (document, page): how often its result has arrived
        self.failures: Counter[str] = Counter()  # record key: how many tasks have failed
        self.tracked = 0  # results with which tracking has not ended; there must be none
        self.dead_letters = 0
        self._dead_letter_topic = servers.names.dead_letters
        counts = servers.names.kafka_partitions()
        self._next = {
            (topic, number): 0
            for topic in (servers.names.results, servers.names.dead_letters)
            for number in range(counts[topic])
        }
        self._decode_result = msgspec.json.Decoder(_Result).decode
        self._decode_page = msgspec.json.Decoder(_Page).decode
        self._consumer = Consumer(
            {
                "bootstrap.servers": servers.bootstrap_servers,
                "group.id": f"{servers.names.group}-demo-reader",  # needed, and not used
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            },
            logger=silent,
        )

    def read_until(self, enough: Callable[[], bool], timeout_s: float) -> bool:
        """Read until there is enough; say whether there was in time."""
        deadline = time.monotonic() + timeout_s
        self._assign()
        while not enough():
            if time.monotonic() > deadline:
                return False
            self._take()
        return True

    def read_to_end(self, timeout_s: float) -> bool:
        """Read all that is there, of a Kafka to which nobody sends any more; say whether it was in time."""
        deadline = time.monotonic() + timeout_s
        ends: set[tuple[str, int]] = set()
        self._assign()  # anew, so that each end is told of
        while ends < self._next.keys():
            if time.monotonic() > deadline:
                return False
            ends |= self._take()
        return True

    def of(self, document: str) -> Counter[int]:
        """Return how often each page of a document has arrived."""
        return Counter({page: count for (name, page), count in self.pages.items() if name == document})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def _assign(self) -> None:
        self._consumer.assign([TopicPartition(*place, offset) for place, offset in self._next.items()])

    def _take(self) -> set[tuple[str, int]]:
        """Count some records; return the Kafka partitions whose end was reached."""
        ends = set()
        for record in self._consumer.consume(_AT_ONCE, _POLL_S):
            place = record.topic() or "", record.partition() or 0
            error = record.error()
            if error is None:
                self._next[place] = (record.offset() or 0) + 1
                self._count(record)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - one of librdkafka's own codes
                ends.add(place)
            else:
                raise KafkaException(error)
        return ends

    def _count(self, record: Message) -> None:
        if record.topic() == self._dead_letter_topic:
            self.dead_letters += 1
            return
        result = self._decode_result(record.value() or b"")
        self.tracked += bytes(result.tracking) != b"null"
        if result.task_status == "RESULT_SUCCESS":
            page = self._decode_page(base64.b64decode(result.task_data))
            self.pages[page.document, page.page] += 1
        else:
            self.failures[_text(record.key())] += 1


def _text(key: Any) -> str:
    return key.decode() if isinstance(key, bytes) else str(key)
