"""Reads committed records between given offsets, also from the end backwards; it joins no group."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from tracker.kafka.headers import replace_unreadable_headers
from tracker.kafka.inspection import SILENT, TIMEOUT_S
from tracker.kafka.properties import outsider_properties
from tracker.kafka_partition import KafkaPartition
from tracker.settings import Settings

_AT_A_TIME = 1_000
_POLL_S = 0.2
_SILENCE_TIMEOUT_S = 30.0  # librdkafka may have many aborted records to leave out meanwhile
_FIRST_STEP = 256  # offsets

T = TypeVar("T")


class StoredRecord(NamedTuple):
    """A record, as it is stored."""

    kafka_partition: int
    offset: int
    timestamp_ms: int | None  # since 1970
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]  # none if the name of one is not UTF-8


class RecordReader:
    """Reads one topic or another, one call after the other. Each method may raise `KafkaException`."""

    def __init__(self, settings: Settings) -> None:
        self._known_topics: set[str] = set()
        self._errors: deque[KafkaError] = deque(maxlen=1)
        self._consumer = Consumer(
            {
                **outsider_properties(settings, settings.group_id),
                "enable.partition.eof": "true",
                # Where retention has removed the first records meanwhile, reading begins at what is left.
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "allow.auto.create.topics": "false",
                # What is read to its end is read from the leader: a replica may end before the last record.
                "client.rack": "",
                # A fetch that waits at the end of a log delays the next one, which reads before it.
                "fetch.wait.max.ms": "10",
                "fetch.queue.backoff.ms": "5",
                "queued.max.messages.kbytes": "16384",
                "error_cb": self._errors.append,
            },
            logger=SILENT,
        )

    def bounds(self, key: KafkaPartition, since_ms: int | None = None) -> tuple[int, int]:
        """Return the first offset of a Kafka partition, and the offset after the last record.

        With `since_ms` no record before the first offset has that time or a later one.
        """
        first, end = self._consumer.get_watermark_offsets(TopicPartition(*key), timeout=TIMEOUT_S)
        if since_ms is None:
            return first, end
        asked = TopicPartition(*key, since_ms)
        [found] = self._consumer.offsets_for_times([asked], timeout=TIMEOUT_S)
        if found.error is not None:
            raise KafkaException(found.error)
        return (max(first, found.offset) if found.offset >= 0 else end), end

    def read(self, key: KafkaPartition, first: int, end: int) -> Iterator[StoredRecord]:
        """Yield the committed records from offset `first` to before offset `end`."""
        if first >= end:
            return
        self._assign([TopicPartition(*key, first)])
        for record in self._read_to_end({key}):
            if record.offset >= end:
                return
            yield record

    def read_all(self, keys: Sequence[KafkaPartition]) -> Iterator[StoredRecord]:
        """Yield the committed records of Kafka partitions; those of one in their order."""
        self._assign([TopicPartition(*key, 0) for key in keys])
        yield from self._read_to_end(set(keys))

    def read_backwards(
        self, key: KafkaPartition, first: int, end: int, keep: Callable[[StoredRecord], T], at_a_time: int
    ) -> Iterator[T]:
        """Yield what `keep` returns for the committed records from before `end` to `first`, newest first.

        Kafka is read forwards only, so this reads step by step. It holds `at_a_time` results at most. A step
        may have few records, because aborted ones, markers, and what a compaction removed have offsets too.
        The next step is then twice as long: otherwise each step within many aborted records would read all
        that follow, to find its own end.
        """
        step = min(_FIRST_STEP, at_a_time)
        while end > first:
            start = max(first, end - step)
            kept: deque[tuple[int, T]] = deque(maxlen=at_a_time)
            count = 0
            for record in self.read(key, start, end):
                kept.append((record.offset, keep(record)))
                count += 1
            end = start if count <= at_a_time else kept[0][0]
            step = at_a_time if count > at_a_time else 2 * step if 2 * count < at_a_time else step
            while kept:
                yield kept.pop()[1]

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()

    def _assign(self, starts: list[TopicPartition]) -> None:
        for topic in {start.topic for start in starts} - self._known_topics:
            # A consumer that has not heard of a topic yet waits for a second before it asks for its leaders.
            self._consumer.list_topics(topic, timeout=TIMEOUT_S)
            self._known_topics.add(topic)
        self._consumer.assign(starts)

    def _read_to_end(self, keys: set[KafkaPartition]) -> Iterator[StoredRecord]:
        deadline = time.monotonic() + _SILENCE_TIMEOUT_S
        while keys:
            # To consume many at once would wait for as many as are asked for.
            first = self._consumer.poll(_POLL_S)
            polled = [] if first is None else [first, *self._consumer.consume(_AT_A_TIME, 0)]
            messages = [message for message in polled if not _is_about_the_group(message)]
            if messages:
                deadline = time.monotonic() + _SILENCE_TIMEOUT_S
            elif time.monotonic() > deadline:
                raise KafkaException(self._errors[0] if self._errors else KafkaError(KafkaError._TIMED_OUT))
            replace_unreadable_headers(messages)
            for message in messages:
                error = message.error()
                if error is None:
                    yield _stored(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    keys.discard((message.topic() or "", message.partition() or 0))
                else:
                    raise KafkaException(error)


def _is_about_the_group(message: Message) -> bool:
    """Return whether it is an error that does not matter here.

    librdkafka looks for the coordinator of a consumer's group, also if the consumer never joins it. The user
    may have no right to the group.
    """
    error = message.error()
    return error is not None and error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED


def _stored(message: Message) -> StoredRecord:
    kind, timestamp_ms = message.timestamp()
    headers: Any = message.headers()
    return StoredRecord(
        message.partition() or 0,
        message.offset() or 0,
        timestamp_ms if kind and timestamp_ms >= 0 else None,
        message.key(),
        message.value(),
        headers or (),
    )
