"""A dead-letter topic for tests."""

import uuid
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from confluent_kafka import Message, Producer

from tests.support.kafka import DEADLINE_S, Kafka
from tracker.kafka.dead_letters import DeadLetters
from tracker.kafka.topics import TopicLimits
from tracker.messages.dead_letter import Source
from tracker.messages.refusal import Reason, Refusal
from tracker.settings import load

NOON_MS = 1_709_294_400_000  # 2024-03-01T12:00:00Z
HOUR_MS = 3_600_000
SOURCE = Source("tracking", 3, 17, NOON_MS - 5_000)


class DeadLetterTopic:
    """A dead-letter topic; letters are made as a worker makes them."""

    def __init__(self, name: str, bootstrap_servers: str, *, max_message_bytes: int = 1_000_000) -> None:
        self.name = name
        settings = load(
            {"TRACKER_KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers, "TRACKER_DEAD_LETTER_TOPIC": name},
            need={"kafka"},
        )
        self.letters = DeadLetters(settings, lambda: TopicLimits(max_message_bytes))
        self.bootstrap_servers = bootstrap_servers
        self._producer = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 0, "log_level": 2})
        self._stored: list[Message] = []

    def add(
        self,
        value: bytes | None = b"{",
        *,
        key: bytes | None = b"key",
        reason: Reason = Reason.NOT_JSON,
        detail: str = "it is not JSON",
        source: Source = SOURCE,
        headers: Any = (),
        at_ms: int = NOON_MS,
        kafka_partition: int = 0,
    ) -> str:
        """Add a dead letter; return its name."""
        made = self.letters.make(key, value, headers, Refusal(reason, detail), source)
        return self.add_record(
            made.value, key=made.key, headers=made.headers, at_ms=at_ms, kafka_partition=kafka_partition
        )

    def refusal(self) -> Refusal:
        """Return any refusal."""
        return Refusal(Reason.NOT_JSON, "it is not JSON")

    def add_many(self, values: Sequence[bytes], *, source: Source = SOURCE, kafka_partition: int = 0) -> None:
        """Add dead letters with these values."""
        for value in values:
            made = self.letters.make(b"key", value, (), self.refusal(), source)
            self._producer.produce(
                self.name, made.value, made.key, kafka_partition, timestamp=NOON_MS, headers=made.headers
            )
            self._producer.poll(0)
        assert self._producer.flush(DEADLINE_S) == 0

    def add_record(
        self,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Any = (),
        at_ms: int = NOON_MS,
        kafka_partition: int = 0,
        topic: str | None = None,
    ) -> str:
        """Add any record to this topic, or to another one; return its name."""
        topic = topic or self.name
        self._producer.produce(
            topic,
            value,
            key,
            kafka_partition,
            on_delivery=lambda _, stored: self._stored.append(stored),
            timestamp=at_ms,
            headers=list(headers),
        )
        assert self._producer.flush(DEADLINE_S) == 0
        stored = self._stored.pop()
        assert stored.error() is None
        return f"{topic}:{kafka_partition}:{stored.offset()}"

    def in_transaction(self, number: int, *, commit: bool) -> None:
        """Add some dead letters in a transaction of their own."""
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "transactional.id": uuid.uuid4().hex,
                "log_level": 2,
            }
        )
        producer.init_transactions(DEADLINE_S)
        producer.begin_transaction()
        made = self.letters.make(None, b"{", (), Refusal(Reason.NOT_JSON, "in a transaction"), SOURCE)
        for _ in range(number):
            producer.produce(self.name, made.value, partition=0, timestamp=NOON_MS, headers=made.headers)
        if commit:
            producer.commit_transaction(DEADLINE_S)
        else:
            assert producer.flush(DEADLINE_S) == 0
            producer.abort_transaction(DEADLINE_S)
        with closing(Kafka(self.bootstrap_servers)) as kafka:
            kafka.wait_for_markers(self.name)
