"""Kafka partitions of destinations that take no messages now, found in two ways.

The producer's statistics show within seconds what a batch waits for, also while the brokers still consider
the leader alive (their session with it ends after 9 s by default). The brokers say which Kafka partitions
have no leader, also while there is no batch.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from tracker.kafka_partition import KafkaPartition
from tracker.metrics import STUCK_DESTINATIONS, Recorder
from tracker.obstacles import Cause, Obstacle, Obstacles

STATISTICS_INTERVAL_MS = 1_000
NO_LEADER = "it has no leader"

_STUCK_AFTER_S = 1.9  # two sets of statistics
_NAMED = 10  # topics, and Kafka partitions of each, in one sentence


class StuckDestinations:
    """What several observers find, in one sentence for each topic. Any thread may call any method."""

    def __init__(self, obstacles: Obstacles, recorder: Recorder) -> None:
        self._obstacles = obstacles
        self._recorder = recorder
        self._lock = threading.Lock()
        self._found: dict[str, tuple[bool, Mapping[KafkaPartition, str]]] = {}

    def observe(self, observer: str, found: Mapping[KafkaPartition, str], *, blocks: bool) -> None:
        """Replace what `observer` finds stuck, and why. `blocks`: a batch waits for it."""
        if not found and observer not in self._found:
            return
        with self._lock:
            self._found[observer] = blocks, found
            if not found:
                del self._found[observer]
            merged = {key: reason for _, each in self._found.values() for key, reason in each.items()}
            blocking = {key for blocks, each in self._found.values() if blocks for key in each}
            self._recorder.set(STUCK_DESTINATIONS, len(merged))
            self._obstacles.observe("destinations", _sentences(merged, blocking))


def _sentences(merged: Mapping[KafkaPartition, str], blocking: set[KafkaPartition]) -> list[Obstacle]:
    grouped: dict[tuple[str, str, bool], list[int]] = {}
    for (topic, kafka_partition), reason in sorted(merged.items()):
        grouped.setdefault((topic, reason, (topic, kafka_partition) in blocking), []).append(kafka_partition)
    obstacles = [
        Obstacle(Cause.DESTINATION, f"{_name(topic, numbers)}: {reason}", blocks)
        for (topic, reason, blocks), numbers in grouped.items()
    ]
    obstacles.sort(key=lambda each: not each.blocks)
    return obstacles[:_NAMED]


def _name(topic: str, numbers: list[int]) -> str:
    if len(numbers) == 1:
        return f"Kafka partition {numbers[0]} of topic {topic!r} takes no messages"
    more = len(numbers) - _NAMED
    named = ", ".join(map(str, numbers[:_NAMED])) + (f" and {more} more" if more > 0 else "")
    return f"Kafka partitions {named} of topic {topic!r} take no messages"


class _Queue(NamedTuple):
    acked: int  # its last message that was acknowledged
    since_s: float  # when that was first seen, while others waited


class Undelivered:
    """Finds out from librdkafka's statistics what the batch waits for that is being published.

    All calls come from the thread that publishes: librdkafka's callbacks run on it.
    """

    def __init__(self, stuck: StuckDestinations) -> None:
        self._stuck = stuck
        self._is_publishing = False
        self._queues: dict[KafkaPartition, _Queue] = {}

    def begin(self) -> None:
        """Begin to watch: a batch is being published."""
        self._is_publishing = True
        self._queues.clear()

    def published(self) -> None:
        """End the watch: the batch is published, so nothing is stuck."""
        self._is_publishing = False
        self._stuck.observe("producer", {}, blocks=True)

    def abandoned(self) -> None:
        """End the watch: the batch is not published. What it waited for counts until another one is."""
        self._is_publishing = False

    def on_statistics(self, statistics: str) -> None:
        """Evaluate librdkafka's statistics, which come every second; a client's ``stats_cb``."""
        if not self._is_publishing:
            return
        found = self._find(orjson.loads(statistics), time.monotonic())
        if found:
            self._stuck.observe("producer", found, blocks=True)

    def _find(self, statistics: Any, now_s: float) -> dict[KafkaPartition, str]:
        brokers = {broker["nodeid"]: broker["state"] for broker in statistics["brokers"].values()}
        waiting: dict[KafkaPartition, _Queue] = {}
        found: dict[KafkaPartition, str] = {}
        unexplained: dict[KafkaPartition, str] = {}
        for key, numbers in _waiting(statistics):
            before = self._queues.get(key)
            if before is None or before.acked != numbers["acked_msgid"]:
                before = _Queue(numbers["acked_msgid"], now_s)
            waiting[key] = before
            if now_s - before.since_s < _STUCK_AFTER_S:
                continue
            leader = numbers["leader"]
            if leader == -1:
                found[key] = NO_LEADER
            elif brokers.get(leader) != "UP":
                found[key] = f"its leader, broker {leader}, is not connected"
            else:
                unexplained[key] = f"its leader, broker {leader}, does not acknowledge them"
        self._queues = waiting
        # While a transaction cannot add all of its topics, messages for the other topics wait too.
        return found or unexplained


def _waiting(statistics: Any) -> Iterator[tuple[KafkaPartition, Any]]:
    for topic, details in statistics["topics"].items():
        for number, numbers in details["partitions"].items():
            if number != "-1" and (
                numbers["msgq_cnt"] or numbers["xmit_msgq_cnt"] or numbers["msgs_inflight"]
            ):
                yield (topic, int(number)), numbers
