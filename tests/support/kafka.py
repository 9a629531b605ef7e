"""What the tests do with Kafka themselves: lay records ready, and read what came of them."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
)

from tests.support.records import Headers, Record

DEADLINE_S = 60.0
"""How long anything may take on a busy machine."""

MakeTopic = Callable[..., str]
"""The fixture `topic`: `topic("worker-in", partitions=3)` makes a topic and returns its full name."""

T = TypeVar("T")

_NOT_YET = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)

TopicPartitions = dict[tuple[str, int], int]


class Received(NamedTuple):
    """A record that a reader of committed records was given."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    kafka_partition: int
    offset: int

    @property
    def json(self) -> Any:
        """The value as JSON."""
        return json.loads(self.value or b"")

    @property
    def task(self) -> Any:
        """The `jobTaskId`."""
        return self.json["tracking"]["jobTaskId"]

    def header(self, name: str) -> str | None:
        """Return the last header of that name, as text."""
        found = [value for key, value in self.headers if key == name]
        return None if not found else (found[-1] or b"").decode()


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = DEADLINE_S) -> None:
    """Return once the condition holds; fail, with `what` was waited for, if it never does."""
    deadline = time.monotonic() + timeout_s
    pause_s = 0.01
    while not condition():
        assert time.monotonic() < deadline, f"waited without success: {what}"
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.1)


class Kafka:
    """A client of one cluster."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers
        # That a broker is away is no news.
        self._quiet: dict[str, str | int | float | bool] = {
            "bootstrap.servers": bootstrap_servers,
            "log_level": 2,
        }
        self.admin = AdminClient(self._quiet)
        self._producer = Producer(
            {
                **self._quiet,
                "enable.idempotence": True,  # or a retry changes the order
                "message.max.bytes": 20_000_000,
                "message.timeout.ms": 900_000,
                "linger.ms": 5,
            }
        )
        self._refused: list[KafkaError] = []
        self._group_readers: dict[str, Consumer] = {}  # by group; none of them is a member

    def close(self) -> None:
        """Let go of the connections."""
        for reader in self._group_readers.values():
            reader.close()
        del self.admin, self._producer

    def create(self, partitions: Mapping[str, int], **config: str) -> None:
        """Make topics, with so many Kafka partitions each."""
        new = [NewTopic(name, num_partitions=count, config=config) for name, count in partitions.items()]
        for created in self.admin.create_topics(new).values():
            created.result(timeout=DEADLINE_S)

    def create_unreplicated(self, name: str) -> None:
        """Make a topic with one Kafka partition, which a single broker has, however many there are."""
        new = NewTopic(name, num_partitions=1, replication_factor=1, config={"min.insync.replicas": "1"})
        self.admin.create_topics([new])[name].result(timeout=DEADLINE_S)

    def leader(self, topic: str) -> int:
        """Return the ID of the broker that leads the topic's first Kafka partition."""
        return self.admin.list_topics(topic, timeout=DEADLINE_S).topics[topic].partitions[0].leader

    def delete_records(self, topic: str, *, before: int) -> None:
        """Do what retention does, in the first Kafka partition of a topic."""
        first = TopicPartition(topic, 0, before)
        self.admin.delete_records([first])[first].result(DEADLINE_S)

    def configure(self, topic: str, **config: str) -> None:
        """Change settings of a topic, and wait until its broker has them."""
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in config.items()
        ]
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
        for changed in self.admin.incremental_alter_configs([resource]).values():
            changed.result(timeout=DEADLINE_S)

        wait_until(
            lambda: all(self.setting(topic, name) == value for name, value in config.items()),
            "the topic's settings",
        )

    def setting(self, topic: str, name: str) -> str:
        """Return a setting of a topic."""
        [answer] = self.admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]).values()
        return str(answer.result(timeout=DEADLINE_S)[name].value)

    def send(self, records: Iterable[Record], topic: str, kafka_partition: int = -1) -> None:
        """Produce records in order, by key if no Kafka partition is given; return when they are stored."""
        for record in records:
            self.produce(record, topic, kafka_partition)
        self.flush()

    def produce(self, record: Record, topic: str, kafka_partition: int = -1) -> None:
        """Begin to send a record; `flush` ends it."""
        headers: Any = list(record.headers)
        while True:
            try:
                self._producer.produce(
                    topic, record.value, record.key, kafka_partition, self._on_delivery, headers=headers
                )
                return
            except BufferError:
                self._producer.poll(0.1)

    def flush(self) -> None:
        """Return once all that was produced is stored."""
        assert self._producer.flush(DEADLINE_S) == 0
        assert not self._refused, self._refused

    def read(self, *topics: str) -> list[Received]:
        """Return all that readers of committed records find now; each Kafka partition's is in its order."""
        return list(self.each(*topics))

    def each(self, *topics: str) -> Iterator[Received]:
        """Give what `read` returns, for topics that are too large for a list."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "group.id": "reader",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",  # never from the start again in silence
                "fetch.wait.max.ms": 1,  # that the end is reached is known after this
            }
        )
        try:
            # A consumer that has not heard of a topic yet waits half a second before it asks.
            numbers = {
                topic: consumer.list_topics(topic, timeout=DEADLINE_S).topics[topic].partitions
                for topic in topics
            }
            to_read = {(topic, number) for topic in topics for number in numbers[topic]}
            consumer.assign([TopicPartition(*place, 0) for place in sorted(to_read)])
            yield from _read_to_end(consumer, to_read)
        finally:
            consumer.close()

    def partitions(self, topic: str) -> list[int]:
        """Return the numbers of a topic's Kafka partitions."""
        return sorted(self.admin.list_topics(topic, timeout=DEADLINE_S).topics[topic].partitions)

    def ends(self, *topics: str, committed: bool = False) -> TopicPartitions:
        """Return the offset after the last record, or after the last that is decided."""
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        places = [TopicPartition(topic, number) for topic in topics for number in self.partitions(topic)]
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        answers = self.admin.list_offsets(dict.fromkeys(places, latest), isolation_level=level)
        return {
            (place.topic, place.partition): future.result(timeout=DEADLINE_S).offset
            for place, future in answers.items()
        }

    def wait_for_markers(self, topic: str) -> None:
        """Wait until its transactions are decided: markers are written after the coordinator has answered."""
        wait_until(lambda: self.ends(topic, committed=True) == self.ends(topic), f"markers in {topic}")

    def committed(self, group_id: str, *topics: str) -> TopicPartitions:
        """Return the group's committed offsets; -1001 where there is none.

        Rejected: a consumer for each call, which takes 60 ms instead of 1; the admin client, which crashed
        the process while the group was forming.
        """
        if group_id not in self._group_readers:
            self._group_readers[group_id] = Consumer(
                {**self._quiet, "group.id": group_id, "isolation.level": "read_uncommitted"}
            )
        reader = self._group_readers[group_id]
        places = [TopicPartition(topic, number) for topic in topics for number in self.partitions(topic)]
        found = _patiently(partial(reader.committed, places, timeout=DEADLINE_S))
        return {(each.topic, each.partition): each.offset for each in found}

    def _on_delivery(self, error: KafkaError | None, _message: object) -> None:
        if error is not None:
            self._refused.append(error)


def _patiently(call: Callable[[], T]) -> T:
    """Call until a broker that has just been started knows the answer."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            return call()
        except KafkaException as error:
            if error.args[0].code() not in _NOT_YET or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _read_to_end(consumer: Consumer, to_read: set[tuple[str, int]]) -> Iterator[Received]:
    moved = time.monotonic()
    while to_read:
        first = consumer.poll(0.1)
        for message in [] if first is None else [first, *consumer.consume(10_000, 0)]:
            moved = time.monotonic()
            topic, number, error = message.topic() or "", message.partition() or 0, message.error()
            if error is None:
                headers: Any = message.headers()
                key, value, offset = message.key(), message.value(), message.offset() or 0
                yield Received(topic, key, value, tuple(headers or ()), number, offset)
            elif error.code() == KafkaError._PARTITION_EOF:
                to_read.discard((topic, number))
            else:
                raise KafkaException(error)
        assert time.monotonic() < moved + DEADLINE_S, f"no end of {to_read}"
