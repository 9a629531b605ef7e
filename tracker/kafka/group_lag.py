"""How far a group is from the ends of its topics, asked once, by a client that is no member."""

import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any, NamedTuple

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tracker.errors import TrackerError
from tracker.kafka.answers import answer_of
from tracker.kafka.committed import CommittedOffsets
from tracker.kafka.explain import kafka_errors
from tracker.kafka.inspection import SILENT, TIMEOUT_S, connect_admin, has_members, inspect_cluster
from tracker.kafka.properties import outsider_properties
from tracker.kafka_partition import KafkaPartition
from tracker.settings import Settings

_AGES_TIMEOUT_S = 3.0


class LagRange(NamedTuple):
    """The offsets of a Kafka partition that are not committed: from `first` to before `end`."""

    first: int
    end: int

    @property
    def records(self) -> int:
        """How many there are. Records of open transactions count, as in Kafka's own tools."""
        return max(0, self.end - self.first)


class GroupLag(NamedTuple):
    """The lag of a group. `missing`: those of its topics that do not exist, or cannot be used."""

    missing: tuple[str, ...]
    ranges: Mapping[KafkaPartition, LagRange]


def read_group_lag(settings: Settings) -> GroupLag:
    """Ask brokers for the lag of the workers' group.

    :raises TrackerError: Kafka does not answer, or refuses.
    """
    admin, metadata = inspect_cluster(settings)
    found = {name: metadata.topics[name] for name in settings.topics if name in metadata.topics}
    keys = [
        (name, number) for name, topic in found.items() if topic.error is None for number in topic.partitions
    ]
    missing = tuple(name for name in settings.topics if name not in found or found[name].error is not None)
    with kafka_errors(), closing(CommittedOffsets(settings, settings.group_id)) as offsets:
        committed = offsets.read(keys) if keys else {}
        ends = _offsets(admin, keys, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        unread = [key for key in keys if key not in committed]
        begins = _offsets(admin, unread, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
    starts = begins | committed
    return GroupLag(missing, {key: LagRange(starts[key], ends[key]) for key in keys})


class Backlog:
    """What the tracking topics had at one moment, and the workers' group had not passed.

    Each method raises `TrackerError` if Kafka does not answer, or refuses.
    """

    def __init__(self, settings: Settings) -> None:
        lag = read_group_lag(settings)
        if lag.missing:
            topics = ", ".join(lag.missing)
            raise TrackerError(f"it is not known what is left of {topics}: there is no such topic to be seen")
        self._ends = {key: each.end for key, each in lag.ranges.items() if each.records}
        self.records = sum(each.records for each in lag.ranges.values())
        self._group_id = settings.group_id
        self._admin = connect_admin(settings)
        with kafka_errors():
            self._committed = CommittedOffsets(settings, settings.group_id)

    def is_read(self) -> bool:
        """Return whether the group has members."""
        return has_members(self._admin, self._group_id)

    def count_left(self) -> int:
        """Return how many records are left. Markers of transactions count until the group has passed them.

        What retention has removed is not left: nobody can read it any more.
        """
        with kafka_errors():
            committed = self._committed.read(self._ends) if self._ends else {}
            begins = _offsets(self._admin, self._ends, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        left = {
            key: end - max(begins[key], committed.get(key, begins[key])) for key, end in self._ends.items()
        }
        self._ends = {key: end for key, end in self._ends.items() if left[key] > 0}
        return sum(left[key] for key in self._ends)

    def close(self) -> None:
        """Disconnect."""
        self._committed.close()


def _offsets(
    admin: AdminClient, keys: Iterable[KafkaPartition], spec: OffsetSpec
) -> dict[KafkaPartition, int]:
    wanted = {TopicPartition(*key): spec for key in keys}
    if not wanted:
        return {}
    answers = admin.list_offsets(
        wanted, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=TIMEOUT_S
    )
    return {
        (key.topic, key.partition): answer_of(answer, TIMEOUT_S).offset for key, answer in answers.items()
    }


def read_ages(settings: Settings, firsts: Mapping[KafkaPartition, int]) -> dict[KafkaPartition, float]:
    """Return the age in seconds of the first record of Kafka partitions at or after an offset.

    Those are left out that have none, or whose leaders do not send it within a few seconds. It cannot be
    found without reading: Kafka tells the first offset after a time, and not the time of an offset.

    :raises TrackerError: Kafka refuses.
    """
    ages: dict[KafkaPartition, float] = {}
    properties: dict[str, Any] = {
        **outsider_properties(settings, settings.group_id),
        "isolation.level": "read_uncommitted",
        "enable.partition.eof": "true",
        "auto.offset.reset": "earliest",
        "allow.auto.create.topics": "false",
        "queued.max.messages.kbytes": "4096",
    }
    with kafka_errors(), closing(Consumer(properties, logger=SILENT)) as consumer:
        consumer.assign([TopicPartition(*key, first) for key, first in firsts.items()])
        missing, deadline = set(firsts), time.monotonic() + _AGES_TIMEOUT_S
        while missing and time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is None:
                continue
            key, error = (message.topic() or "", message.partition() or 0), message.error()
            if error is None and key in missing:
                kind, time_ms = message.timestamp()
                if kind:
                    ages[key] = max(0.0, time.time() - time_ms / 1000)
                # Otherwise the records that follow it come before those of the others.
                consumer.pause([TopicPartition(*key)])
            elif error is not None and error.code() == KafkaError._PARTITION_EOF:
                pass
            elif error is not None and error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:
                raise KafkaException(error)
            if error is None or error.code() == KafkaError._PARTITION_EOF:
                missing.discard(key)
    return ages
