"""Stage a backlog of messages in Kafka, and watch how far a group has come with it.

The messages are written in a Kafka transaction that stays open until all are there. All contenders consume
committed records only, so none of them can see or fetch a message before the commit. The commit makes all
messages visible at once, and starts the clock. The alternatives are worse: the time of a contender that
starts on a full topic includes its start-up and its rebalances, and a contender that is stopped by a signal
meanwhile finds its timeouts expired.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from bench.errors import BenchError
from bench.servers import end_offsets
from bench.workload import ProducerRecord, Topics

POLL_S = 0.02
_CALL_TIMEOUT_S = 60.0

Backlog = dict[int, tuple[int, int]]
"""For each Kafka partition, the offset of the first message and the one after the last."""


class BacklogLoader:
    """Stages backlogs in a topic, each in a transaction of its own."""

    def __init__(self, clients: Mapping[str, Any], topics: Topics) -> None:
        self._topic = topic = topics.tracking
        self._kafka_partitions = topics.kafka_partitions
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

    def stage(self, messages: Iterable[ProducerRecord]) -> Backlog:
        """Write messages, which are invisible until `publish`; return where they are."""
        first = end_offsets(self._admin, self._topic, self._kafka_partitions, committed=False)
        self._producer.begin_transaction()
        produce, topic = self._producer.produce, self._topic
        for kafka_partition, key, value in messages:
            while True:
                try:
                    produce(topic, value, key, kafka_partition)
                    break
                except BufferError:  # 256 MB are queued
                    self._producer.poll(0.05)
        while self._producer.flush(1.0):
            self._check()
        self._check()
        next_offsets = end_offsets(self._admin, self._topic, self._kafka_partitions, committed=False)
        return {number: (offset, next_offsets[number]) for number, offset in first.items()}

    def publish(self) -> float:
        """Make the messages visible; return when the commit began (`time.monotonic`)."""
        began = time.monotonic()
        self._producer.commit_transaction(_CALL_TIMEOUT_S)
        return began

    def _check(self) -> None:
        if self._refused is not None:
            raise KafkaException(self._refused)

    def _on_delivery(self, error: KafkaError | None, _message: Message) -> None:
        self._refused = self._refused or error


class OffsetWatcher:
    """Watches the offsets that a group commits: a few numbers every 20 ms, at almost no cost.

    The offsets are enough: exactly once, a group commits them together with what it has sent.
    """

    def __init__(self, clients: Mapping[str, Any], topics: Topics, group_id: str) -> None:
        self._kafka_partitions = [
            TopicPartition(topics.tracking, number) for number in range(topics.kafka_partitions)
        ]
        self._consumer = Consumer(
            {
                **clients,
                "group.id": group_id,
                "enable.auto.commit": False,
                # With read_committed it would wait for each open transaction.
                "isolation.level": "read_uncommitted",
            }
        )

    def wait(self, backlog: Backlog, timeout_s: float, check: Callable[[], None]) -> list[tuple[float, int]]:
        """Wait until the group has committed all of the backlog; return pairs of time and messages done.

        `check` is called repeatedly, and raises to end the wait.

        :raises BenchError: the group has made no progress for `timeout_s`.
        """
        size = sum(next_offset - first for first, next_offset in backlog.values())
        seen = [(time.monotonic(), 0)]
        moved = time.monotonic()
        while seen[-1][1] < size:
            time.sleep(POLL_S)
            done = self._done(backlog)
            now = time.monotonic()
            if done > seen[-1][1]:
                moved = now
            elif now - moved > timeout_s:
                raise BenchError(f"no progress for {timeout_s:.0f} s, at {done:,} of {size:,} messages")
            check()
            seen.append((now, done))
        return seen

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()

    def _done(self, backlog: Backlog) -> int:
        done = 0
        for committed in self._consumer.committed(self._kafka_partitions, timeout=_CALL_TIMEOUT_S):
            if committed.error is not None:
                raise KafkaException(committed.error)
            first, next_offset = backlog[committed.partition]
            done += max(0, min(committed.offset, next_offset) - first)
        return done
