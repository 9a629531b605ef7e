"""Which consumer groups read a topic, and how far behind they are; asked once, by commands."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import AdminClient

from tracker.kafka.answers import answer_of
from tracker.kafka.committed import group_reader, read_committed_offsets
from tracker.kafka.explain import kafka_errors
from tracker.kafka.inspection import TIMEOUT_S, connect_admin
from tracker.kafka.record_reader import RecordReader
from tracker.kafka_partition import KafkaPartition
from tracker.settings import Settings

MOST_GROUPS = 20
_AT_ONCE = 5
_WITHOUT_MEMBERS = (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)


@dataclass(frozen=True, slots=True)
class TopicLag:
    """How far a group is behind in some Kafka partitions."""

    group_id: str
    has_members: bool
    records: int  # after the committed offsets, with what else has offsets there
    oldest_time_ms: int | None  # of the first of them


@dataclass(frozen=True, slots=True)
class TopicGroups:
    """The groups that have read a topic, of those that were asked."""

    groups: tuple[TopicLag, ...]
    asked: int
    known: int  # groups of the cluster


def find_groups(settings: Settings, topic: str) -> TopicGroups:
    """Return which groups have committed offsets of a topic, and how far behind they are.

    At most `MOST_GROUPS` are asked, those with members first. Consumers that commit nothing are not seen.

    :raises TrackerError: Kafka does not answer, or refuses.
    """
    with kafka_errors(), closing(RecordReader(settings)) as reader:
        admin = connect_admin(settings)
        topics = admin.list_topics(timeout=TIMEOUT_S).topics
        if topic not in topics or topics[topic].error is not None:
            return TopicGroups((), 0, 0)
        states = _states(admin)
        ends = _ends(reader, [(topic, number) for number in topics[topic].partitions])
        asked = sorted(states, key=lambda group_id: (not states[group_id], group_id))[:MOST_GROUPS]
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            committed = list(threads.map(partial(_committed, settings, list(ends)), asked))
        groups = tuple(
            _lag(reader, group_id, offsets, ends, has_members=states[group_id])
            for group_id, offsets in zip(asked, committed, strict=True)
            if offsets
        )
        return TopicGroups(groups, len(asked), len(states))


def find_lag(settings: Settings, group_id: str, kafka_partitions: Iterable[KafkaPartition]) -> TopicLag:
    """Return how far a group is behind in the one of these Kafka partitions in which it is furthest behind.

    :raises TrackerError: Kafka does not answer, or refuses.
    """
    with kafka_errors(), closing(RecordReader(settings)) as reader:
        has_members = _states(connect_admin(settings)).get(group_id, False)
        ends = _ends(reader, kafka_partitions)
        offsets = _committed(settings, list(ends), group_id)
        lags = [
            _lag(
                reader,
                group_id,
                {key: offsets.get(key, reader.bounds(key)[0])},
                ends,
                has_members=has_members,
            )
            for key in ends
        ]
        return max(lags, key=lambda lag: lag.records)


def _states(admin: AdminClient) -> dict[str, bool]:
    """Return the groups of the cluster, and whether each has members."""
    groups = answer_of(admin.list_consumer_groups(request_timeout=TIMEOUT_S), TIMEOUT_S)
    for error in groups.errors:
        raise error
    return {group.group_id: group.state not in _WITHOUT_MEMBERS for group in groups.valid}


def _ends(reader: RecordReader, keys: Iterable[KafkaPartition]) -> dict[KafkaPartition, int]:
    return {key: reader.bounds(key)[1] for key in keys}


def _committed(settings: Settings, keys: list[KafkaPartition], group_id: str) -> dict[KafkaPartition, int]:
    with closing(group_reader(settings, group_id, wait_for_transactions=False)) as consumer:
        found = read_committed_offsets(consumer, keys)
    return {key: committed.offset for key, committed in found.items()}


def _lag(
    reader: RecordReader,
    group_id: str,
    offsets: Mapping[KafkaPartition, int],
    ends: Mapping[KafkaPartition, int],
    *,
    has_members: bool,
) -> TopicLag:
    """Return a group's lag. Markers of transactions alone, which a consumer may not commit, are none."""
    records, times = 0, []
    for key, offset in offsets.items():
        oldest = next(reader.read(key, offset, ends[key]), None)
        if oldest is not None:
            records += ends[key] - oldest.offset
            times.append(oldest.timestamp_ms)
    known = [time_ms for time_ms in times if time_ms is not None]
    return TopicLag(group_id, has_members, records, min(known, default=None))
