"""Asks the brokers every few seconds for what a batch would need, whether there is a batch or not."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient, TopicDescription

from tracker.agreement import REMEDY
from tracker.kafka.errors import OffsetsRefused, reason_of
from tracker.kafka.password import RotatedPassword
from tracker.kafka.stuck import NO_LEADER, StuckDestinations
from tracker.kafka.topics import ABOUT_A_TOPIC, Access, access_of, own_topics
from tracker.kafka_partition import KafkaPartition
from tracker.obstacles import Cause, Obstacle, Obstacles
from tracker.settings import Settings

_EVERY_S = 2.0
_TIMEOUT_S = 5.0
_RECENTLY_S = 5.0
_ERROR_COUNTS_S = 30.0
_DESTINATIONS = 200  # the last ones used are asked about
_NOT_THERE_FOR_S = 10.0
_NOT_ALLOWED_FOR_S = 3600.0  # brokers log each request that is not allowed

_GROUPS, _TRANSACTIONS = "__consumer_offsets", "__transaction_state"


class ConnectionErrors:
    """What librdkafka says of connections: it says more than a request without an answer."""

    def __init__(self) -> None:
        self._latest: tuple[float, str] = (-math.inf, "")

    def on_error(self, error: KafkaError) -> None:
        """Remember an error; a client's ``error_cb``."""
        self._latest = time.monotonic(), reason_of(error)

    def latest(self) -> str:
        """Return the last error if it is recent, otherwise an empty string."""
        when, reason = self._latest
        return reason if time.monotonic() - when < _ERROR_COUNTS_S else ""


class KafkaWatch:
    """Checks that a broker answers, and that topics exist, may be used and have leaders.

    It also detects a topic that is recreated while it is read. The consumer does not: it continues in the new
    topic at the offset that it had reached in the old one.

    `destinations` returns those that were used recently. `last_published_monotonic_s` returns when a batch
    was last published: while batches are published, a request without an answer proves nothing.
    """

    def __init__(
        self,
        settings: Settings,
        transactional_id: str,
        admin: AdminClient,
        errors: ConnectionErrors,
        obstacles: Obstacles,
        stuck: StuckDestinations,
        destinations: Callable[[], Sequence[str]],
        last_published_monotonic_s: Callable[[], float],
    ) -> None:
        self._admin = admin
        self._password = RotatedPassword(settings, "client")
        self._errors = errors
        self._rights = own_topics(settings)
        # Internal topics, each with the key that decides which of its Kafka partitions coordinates it.
        self._coordinated = [(_GROUPS, settings.group_id)]
        if settings.delivery == "exactly_once":
            self._coordinated.append((_TRANSACTIONS, transactional_id))
        self._obstacles = obstacles
        self._stuck = stuck
        self._destinations = destinations
        self._last_published_monotonic_s = last_published_monotonic_s
        self._ids: dict[str, str] = {}
        self._answers: dict[str, Future[Any]] = {}
        self._asked_destinations: frozenset[str] = frozenset()
        self._next_monotonic_s = 0.0
        self._internal_from_monotonic_s = 0.0

    def poll(self) -> None:
        """Ask the brokers, without waiting for the answers, and handle the previous answers.

        :raises OffsetsRefused: a topic was recreated.
        """
        if self._answers and all(answer.done() for answer in self._answers.values()):
            self._handle(self._answers)
            self._answers = {}
        self._password.update(self._admin)
        now = time.monotonic()
        if not self._answers and now >= self._next_monotonic_s:
            self._next_monotonic_s = now + _EVERY_S
            self._ask(now)

    def _ask(self, now: float) -> None:
        internal = {topic for topic, _ in self._coordinated} if now >= self._internal_from_monotonic_s else ()
        self._asked_destinations = frozenset(self._destinations()[-_DESTINATIONS:]) - self._rights.keys()
        topics = [*self._rights, *internal, *self._asked_destinations]
        self._answers = self._admin.describe_topics(
            TopicCollection(topics), include_authorized_operations=True, request_timeout=_TIMEOUT_S
        )

    def _handle(self, answers: Mapping[str, Future[Any]]) -> None:
        found: dict[str, TopicDescription] = {}
        errors: dict[str, KafkaError] = {}
        for topic, answer in answers.items():
            error = answer.exception()
            if error is None:
                found[topic] = answer.result()
            elif isinstance(error, KafkaException):
                errors[topic] = error.args[0]
        self._check_ids(found)
        unanswered = [error for error in errors.values() if error.code() not in ABOUT_A_TOPIC]
        if unanswered and time.monotonic() - self._last_published_monotonic_s() < _RECENTLY_S:
            return
        if unanswered:
            reason = self._errors.latest() or reason_of(unanswered[0])
            self._obstacles.observe("watch", [Obstacle(Cause.KAFKA, f"no broker answers: {reason}")])
            return
        obstacles = [*self._check_own_topics(found, errors), *self._check_coordinators(found, errors)]
        self._obstacles.observe("watch", obstacles)
        self._stuck.observe("watch", _leaderless(found, self._asked_destinations), blocks=False)

    def _check_ids(self, found: Mapping[str, TopicDescription]) -> None:
        for topic in self._rights.keys() & found.keys():
            topic_id = str(found[topic].topic_id)
            is_read = self._rights[topic] is AclOperation.READ
            if is_read and self._ids.setdefault(topic, topic_id) != topic_id:
                raise OffsetsRefused(f"topic {topic!r} was deleted and recreated while it was read; {REMEDY}")

    def _check_own_topics(
        self, found: Mapping[str, TopicDescription], errors: Mapping[str, KafkaError]
    ) -> Iterable[Obstacle]:
        """Yield what is wrong with the tracker's own topics. It blocks if none of them can be read."""
        readable = False
        wrong: list[str] = []
        for topic, operation in self._rights.items():
            access = access_of(found.get(topic), errors.get(topic), operation)
            if access is Access.NO_TOPIC:
                wrong.append(f"topic {topic!r} does not exist")
            elif access is Access.NO_RIGHT:
                wrong.append(f"the tracker may not {operation.name.lower()} topic {topic!r}")
            else:
                partitions = found[topic].partitions
                without = [each.id for each in partitions if _has_no_leader(each)]
                if without:
                    numbers = ", ".join(map(str, without))
                    wrong.append(f"Kafka partition {numbers} of topic {topic!r} has no leader")
                if operation is AclOperation.READ and len(without) < len(partitions):
                    readable = True
        yield from (Obstacle(Cause.TOPICS, reason, blocks=not readable) for reason in wrong)

    def _check_coordinators(
        self, found: Mapping[str, TopicDescription], errors: Mapping[str, KafkaError]
    ) -> Iterable[Obstacle]:
        for topic, key in self._coordinated:
            if topic in errors:  # least rights do not include it; or it has not been created yet
                is_denied = errors[topic].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
                pause_s = _NOT_ALLOWED_FOR_S if is_denied else _NOT_THERE_FOR_S
                self._internal_from_monotonic_s = time.monotonic() + pause_s
            if topic not in found or not found[topic].partitions:
                continue
            partitions = {each.id: each for each in found[topic].partitions}
            number = coordinator_partition(key, len(partitions))
            if number in partitions and _has_no_leader(partitions[number]):
                reason = f"Kafka partition {number} of {topic}, which coordinates {key!r}, has no leader"
                yield Obstacle(Cause.KAFKA, reason)


def coordinator_partition(key: str, count: int) -> int:
    """Return the Kafka partition whose leader coordinates `key`, by Java's hash of strings, as brokers do."""
    number = 0
    for unit in memoryview(key.encode("utf-16-le")).cast("H"):
        number = (31 * number + unit) & 0xFFFF_FFFF
    number = number - 0x1_0000_0000 if number >= 0x8000_0000 else number
    return (0 if number == -0x8000_0000 else abs(number)) % count


def _leaderless(found: Mapping[str, TopicDescription], topics: frozenset[str]) -> dict[KafkaPartition, str]:
    return {
        (topic, each.id): NO_LEADER
        for topic in topics & found.keys()
        for each in found[topic].partitions
        if _has_no_leader(each)
    }


def _has_no_leader(partition: Any) -> bool:
    return partition.leader is None or partition.leader.id < 0
