"""Lays messages ready in Kafka, and watches how far a group has come with them.

The messages lie in a Kafka transaction that is open until everything is ready, so that consumers of committed
records, which all contenders are, cannot see or fetch any of them. Its commit makes them all visible at once:
that is when the clock starts. The alternatives are worse: a contender that starts on a full topic is measured
with its start-up and its rebalances, one that is stopped by a signal meanwhile wakes up to expired timeouts.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from bench.errors import BenchError
from bench.servers import ends
from bench.workload import Load, Topics

POLL_S = 0.02
_CALL_TIMEOUT_S = 60.0

Span = dict[int, tuple[int, int]]
"""For each Kafka partition the first offset, and that behind the last."""


class Loader:
    """Lays messages ready in a topic, as many times as one likes, one transaction each."""

    def __init__(self, clients: Mapping[str, Any], topics: Topics) -> None:
        self._topic = topic = topics.tracking
        self._kafka_partitions = topics.partitions
        self._refused: KafkaError | None = None
        self._producer = Producer(
            {
                **clients,
                "transactional.id": f"{topic}-loader",
                "transaction.timeout.ms": 900_000,  # the most that brokers allow by default
                "linger.ms": 100,
                "batch.size": 1_000_000,
                "queue.buffering.max.messages": 1_000_000,
                "queue.buffering.max.kbytes": 262_144,
                "retry.backoff.ms": 5,
                "delivery.report.only.error": True,
                "on_delivery": self._on_delivery,
            }
        )
        self._admin = AdminClient(dict(clients))
        self._producer.init_transactions(_CALL_TIMEOUT_S)

    def stage(self, messages: Iterable[Load]) -> Span:
        """Lay messages ready, unseen until `release`, and return where they are."""
        first = ends(self._admin, self._topic, self._kafka_partitions, committed=False)
        self._producer.begin_transaction()
        produce, topic = self._producer.produce, self._topic
        for kafka_partition, key, value in messages:
            while True:
                try:
                    produce(topic, value, key, kafka_partition)
                    break
                except BufferError:  # 256 MB wait to be sent
                    self._producer.poll(0.05)
        while self._producer.flush(1.0):
            self._check()
        self._check()
        behind = ends(self._admin, self._topic, self._kafka_partitions, committed=False)
        return {
            kafka_partition: (first[kafka_partition], behind[kafka_partition]) for kafka_partition in first
        }

    def release(self) -> float:
        """Make the messages visible; return when that began (`time.monotonic`)."""
        began = time.monotonic()
        self._producer.commit_transaction(_CALL_TIMEOUT_S)
        return began

    def _check(self) -> None:
        if self._refused is not None:
            raise KafkaException(self._refused)

    def _on_delivery(self, error: KafkaError | None, _message: Message) -> None:
        self._refused = self._refused or error


class Watcher:
    """Watches the offsets that a group commits: a few numbers every 20 ms, which costs next to nothing.

    They say all: exactly once, a group's offsets are committed together with what was sent.
    """

    def __init__(self, clients: Mapping[str, Any], topics: Topics, group_id: str) -> None:
        self._partitions = [TopicPartition(topics.tracking, number) for number in range(topics.partitions)]
        self._consumer = Consumer(
            {
                **clients,
                "group.id": group_id,
                "enable.auto.commit": False,
                # With read_committed it would wait for each transaction that is under way.
                "isolation.level": "read_uncommitted",
            }
        )

    def wait(self, span: Span, timeout_s: float, check: Callable[[], None]) -> list[tuple[float, int]]:
        """Wait until the group is through with `span`; return how far it was at which time.

        `check` is called now and then, and raises when there is no use in waiting any more.

        :raises BenchError: nothing has moved for `timeout_s`.
        """
        size = sum(behind - first for first, behind in span.values())
        seen = [(time.monotonic(), 0)]
        moved = time.monotonic()
        while seen[-1][1] < size:
            time.sleep(POLL_S)
            done = self._done(span)
            now = time.monotonic()
            if done > seen[-1][1]:
                moved = now
            elif now - moved > timeout_s:
                raise BenchError(f"nothing has moved for {timeout_s:.0f} s, at {done:,} of {size:,} messages")
            check()
            seen.append((now, done))
        return seen

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()

    def _done(self, span: Span) -> int:
        done = 0
        for committed in self._consumer.committed(self._partitions, timeout=_CALL_TIMEOUT_S):
            if committed.error is not None:
                raise KafkaException(committed.error)
            first, behind = span[committed.partition]
            done += max(0, min(committed.offset, behind) - first)
        return done
