"""Watches a round while it runs: one reads committed records, another polls the group's offsets."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.support.kafka import Received

KafkaPartition = tuple[str, int]
"""A topic, and the number of one of its Kafka partitions."""

_HELD = """
    SELECT DISTINCT partition_id, job_id
    FROM held_message JOIN job USING (tenant_key, job_key) JOIN tenant USING (tenant_key)
"""


class Reader:
    """Reads Kafka partitions from the start, on a thread, and calls `on_read` there for each record."""

    def __init__(
        self,
        bootstrap_servers: str,
        kafka_partitions: Sequence[KafkaPartition],
        on_read: Callable[[Received], None],
    ) -> None:
        self.received: list[Received] = []
        self.positions: dict[KafkaPartition, int] = dict.fromkeys(kafka_partitions, 0)
        self._on_read = on_read
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "round-reader",
                "log_level": 0,  # a broker that is away is no news here
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 20,
                "reconnect.backoff.max.ms": 500,
            }
        )
        self._consumer.assign([TopicPartition(*each, 0) for each in kafka_partitions])
        self._partitions = [TopicPartition(*each) for each in kafka_partitions]
        self._to_add: SimpleQueue[KafkaPartition] = SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)
        self._thread.start()

    def add(self, kafka_partition: KafkaPartition) -> None:
        """Read another one too, from its start."""
        self._to_add.put(kafka_partition)

    def close(self) -> None:
        self._closing.set()
        self._thread.join(30)
        self._consumer.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            for message in self._consumer.consume(1_000, 0.02):
                if message.error() is None:
                    self._take(message)
            for each in self._consumer.position(self._partitions):
                if each.offset >= 0:  # otherwise it has read nothing since it was assigned
                    self.positions[each.topic, each.partition] = each.offset
            with suppress(Empty):
                self._begin(self._to_add.get_nowait())

    def _begin(self, kafka_partition: KafkaPartition) -> None:
        self._partitions.append(TopicPartition(*kafka_partition))
        self.positions[kafka_partition] = 0
        self._consumer.assign([TopicPartition(*each, at) for each, at in self.positions.items()])

    def _take(self, message: Any) -> None:
        record = Received(
            message.topic(),
            message.key(),
            message.value(),
            tuple(message.headers() or ()),
            message.partition(),
            message.offset(),
        )
        self.received.append(record)
        self._on_read(record)


class Watcher:
    """Polls the group's committed offsets, and the jobs for which messages are held, on a thread.

    `polls` counts the polls. What a poll finds was true after the poll before it had ended.
    """

    def __init__(
        self, bootstrap_servers: str, group_id: str, kafka_partitions: list[KafkaPartition], database_url: str
    ) -> None:
        self.polls = 0
        self.committed: dict[KafkaPartition, int] = {}
        self.held: set[tuple[str, str]] = set()
        self.kafka_partitions = kafka_partitions
        self._partitions = [TopicPartition(*each) for each in kafka_partitions]
        self._database_url = database_url
        self._database: psycopg.Connection[Any] | None = None
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": group_id,
                "log_level": 0,
                "isolation.level": "read_uncommitted",
                "reconnect.backoff.max.ms": 500,
            }
        )
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(30)
        self._consumer.close()
        if self._database is not None:
            self._database.close()

    @property
    def processed(self) -> int:
        """How many records the group has processed."""
        return sum(max(offset, 0) for offset in self.committed.values())

    def _run(self) -> None:
        while not self._closing.wait(0.1):
            try:
                self._poll()
            except KafkaException:
                continue  # a broker is away
            except psycopg.Error:  # so is PostgreSQL
                if self._database is not None:
                    self._database.close()
                self._database = None

    def _poll(self) -> None:
        if self._database is None:
            self._database = psycopg.connect(
                self._database_url,
                autocommit=True,
                connect_timeout=2,
                options="-c search_path=tracker -c default_transaction_read_only=off",
            )
        found = self._consumer.committed(self._partitions, timeout=2)
        committed = {(each.topic, each.partition): each.offset for each in found if each.error is None}
        held = {(row[0], row[1]) for row in self._database.execute(_HELD)}
        self.committed |= committed
        self.held = held
        self.polls += 1
