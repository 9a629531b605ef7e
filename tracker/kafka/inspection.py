"""What commands ask brokers once: topics, what a group has committed, and whether it has members."""

import logging
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from confluent_kafka import ConsumerGroupState, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._metadata import ClusterMetadata, TopicMetadata

from tracker.errors import TrackerError
from tracker.kafka.answers import answer_of
from tracker.kafka.committed import CommittedOffset, group_reader, read_committed_offsets
from tracker.kafka.errors import reason_of
from tracker.kafka.explain import explain, kafka_errors
from tracker.kafka_partition import KafkaPartition
from tracker.settings import Settings

__all__ = [
    "SILENT",
    "AdminClient",
    "Cluster",
    "ClusterMetadata",
    "CommittedOffset",
    "GroupOffsets",
    "TopicMetadata",
    "commit_offset",
    "connect_admin",
    "has_members",
    "inspect_cluster",
    "kafka_partition_counts",
]

TIMEOUT_S = 15.0

# A login or a name look-up that fails does so within a second; a broker that needs longer is away.
_CLUSTER_TIMEOUT_S = 10.0

# Without a logger of its own, librdkafka writes its log to stderr, between the command's sentences.
SILENT = logging.getLogger("tracker.inspection")
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False


class Cluster(NamedTuple):
    """A cluster that has answered."""

    admin: AdminClient
    metadata: ClusterMetadata


def inspect_cluster(settings: Settings) -> Cluster:
    """Connect to Kafka, and ask for its brokers and topics.

    :raises TrackerError: the client refuses its properties, or no broker answers; the text says why.
    """
    errors: list[KafkaError] = []
    properties: dict[str, Any] = {**settings.kafka_client_properties(), "error_cb": errors.append}
    try:
        admin = AdminClient(properties, logger=SILENT)
    except KafkaException as error:
        raise TrackerError(f"the Kafka client refuses its properties: {reason_of(error.args[0])}") from None
    try:
        return Cluster(admin, admin.list_topics(timeout=_CLUSTER_TIMEOUT_S))
    except KafkaException as error:
        # The exception says only that time was up; polling hands over what went wrong meanwhile.
        admin.poll(0)
        raise TrackerError(explain(errors[0] if errors else error.args[0])) from None


def connect_admin(settings: Settings, logger: logging.Logger = SILENT) -> AdminClient:
    """Return an admin client; by default its log goes nowhere.

    :raises TrackerError: it refuses its properties.
    """
    with kafka_errors():
        return AdminClient({**settings.kafka_client_properties()}, logger=logger)


def kafka_partition_counts(admin: AdminClient) -> dict[str, int]:
    """Return the number of Kafka partitions of each topic.

    It asks for all topics: to ask for one by name would create it, if brokers create topics by themselves.

    :raises TrackerError: Kafka does not answer.
    """
    with kafka_errors():
        topics = admin.list_topics(timeout=TIMEOUT_S).topics
    return {name: len(topic.partitions) for name, topic in topics.items() if topic.error is None}


def has_members(admin: AdminClient, group_id: str) -> bool:
    """Return whether a group has members, from the list of all groups.

    Rejected: to ask its coordinator for the members. If that goes away meanwhile, librdkafka (2.16) may end
    the process (its issue 4605).

    :raises TrackerError: no broker says it.
    """
    try:
        groups = answer_of(admin.list_consumer_groups(request_timeout=TIMEOUT_S), TIMEOUT_S)
    except KafkaException as error:
        raise _unknown_members(error) from None
    for group in groups.valid:
        if group.group_id == group_id:
            return group.state not in (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)
    for problem in groups.errors:  # of brokers; one of them may know the group
        raise _unknown_members(problem)
    return False


def _unknown_members(error: KafkaException) -> TrackerError:
    return TrackerError(f"it is not known whether the group has members: {explain(error.args[0])}")


class GroupOffsets:
    """Reads a group's committed offsets, and where Kafka partitions begin and end. It never joins the group.

    It waits until a transaction has ended that may move an offset. Each method may raise `KafkaException`.
    """

    def __init__(self, settings: Settings) -> None:
        self._consumer = group_reader(settings, settings.group_id, wait_for_transactions=True)

    def kafka_partitions(self, topics: Iterable[str]) -> list[KafkaPartition]:
        """Return the Kafka partitions of those topics that exist."""
        found = []
        for topic in topics:
            metadata = self._consumer.list_topics(topic, timeout=TIMEOUT_S).topics.get(topic)
            if metadata is not None and metadata.error is None:
                found += [(topic, number) for number in metadata.partitions]
        return found

    def committed(self, kafka_partitions: Iterable[KafkaPartition]) -> dict[KafkaPartition, CommittedOffset]:
        """Return what is committed; Kafka partitions without an offset are left out."""
        return read_committed_offsets(self._consumer, kafka_partitions)

    def watermarks(self, kafka_partitions: Sequence[KafkaPartition]) -> dict[KafkaPartition, tuple[int, int]]:
        """Return the first offset of Kafka partitions, and the offset after the last record."""
        ask = self._consumer.get_watermark_offsets
        return {key: ask(TopicPartition(*key), timeout=TIMEOUT_S) for key in kafka_partitions}

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()


def commit_offset(settings: Settings, kafka_partition: KafkaPartition, committed: CommittedOffset) -> None:
    """Commit an offset of the workers' group, which must have no members.

    :raises KafkaException: it is not committed.
    """
    with closing(group_reader(settings, settings.group_id, wait_for_transactions=True)) as consumer:
        offset = TopicPartition(*kafka_partition, committed.offset, committed.metadata)
        consumer.commit(offsets=[offset], asynchronous=False)
