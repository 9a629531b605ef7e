"""What Kafka and the database say of each Kafka partition, and of the scheduler's last sent number."""

from contextlib import closing
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from tracker.agreement import Known
from tracker.errors import TrackerError
from tracker.kafka.explain import kafka_errors
from tracker.kafka.properties import outsider_properties
from tracker.kafka.sent_number import SentNumber
from tracker.kafka.topics import topic_ids
from tracker.logs import kafka_logger
from tracker.settings import Settings
from tracker.store.connect import connected
from tracker.store.explain import database_errors
from tracker.store.queries import query

TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Place:
    """A Kafka partition of a tracking topic."""

    topic: str
    kafka_partition: int
    committed: int | None  # offset; None: none is committed
    metadata: str  # of the commit
    topic_id: str
    known: Known | None
    log: tuple[int, int] | None  # where it begins and ends; None: the topic does not exist

    @property
    def name(self) -> str:
        """How people call it."""
        return f"Kafka partition {self.kafka_partition} of topic {self.topic!r}"


@dataclass(frozen=True, slots=True)
class SentNumberState:
    """The scheduler's last sent number."""

    group_id: str
    committed: int | None  # the number
    metadata: str
    known: Known

    @property
    def name(self) -> str:
        """How people call it."""
        return f"the scheduler's last sent number (group {self.group_id!r})"


def survey(settings: Settings) -> list[Place]:
    """Look at every Kafka partition of the tracking topics, and at what else the database knows of.

    :raises TrackerError: Kafka or the database does not answer, or a tracking topic does not exist.
    """
    with database_errors(), connected(settings.database_conninfo()) as connection:
        rows: list[Any] = connection.execute(query("read_progress")).fetchall()
    known = {(topic, number): Known(*rest) for topic, number, *rest in rows}
    topics = list(dict.fromkeys([*settings.topics, *(topic for topic, _ in known)]))
    with kafka_errors(), closing(_consumer(settings)) as consumer:
        ids = topic_ids(AdminClient(dict(settings.kafka_client_properties()), logger=kafka_logger()), topics)
        partitions = _partitions(consumer, topics)
        missing = sorted(set(settings.topics) - {topic for topic, _ in partitions})
        if missing:
            raise TrackerError(
                f"topics are missing, and 'tracker topics --create' creates them: {', '.join(missing)}"
            )
        committed = _committed(consumer, partitions)
        logs = {
            key: consumer.get_watermark_offsets(TopicPartition(*key), timeout=TIMEOUT_S) for key in partitions
        }
    return [
        Place(topic, number, offset, metadata, ids.get(topic, ""), known.get(key), logs.get(key))
        for key in sorted({*partitions, *known})
        for (topic, number), (offset, metadata) in [(key, committed.get(key, (None, "")))]
    ]


def survey_sent_number(settings: Settings, database_id: str) -> SentNumberState:
    """Look at the scheduler's last sent number.

    :raises TrackerError: Kafka or the database does not answer.
    """
    with kafka_errors(), closing(SentNumber(settings)) as sent_number:
        number, metadata = sent_number.read(database_id)
    with database_errors(), connected(settings.database_conninfo()) as connection:
        numbers: list[Any] = connection.execute(query("lock_deployment")).fetchall()
    [(_, last, sent)] = numbers
    return SentNumberState(sent_number.group_id, number, metadata, Known(last, sent))


def _partitions(consumer: Consumer, topics: list[str]) -> list[tuple[str, int]]:
    found = []
    for topic in topics:
        metadata = consumer.list_topics(topic, timeout=TIMEOUT_S).topics.get(topic)
        if metadata is not None and metadata.error is None:
            found += [(topic, number) for number in metadata.partitions]
    return found


def _committed(consumer: Consumer, keys: list[tuple[str, int]]) -> dict[tuple[str, int], tuple[int, str]]:
    found = {}
    for each in consumer.committed([TopicPartition(*key) for key in keys], timeout=TIMEOUT_S):
        if each.error is not None:
            raise KafkaException(each.error)
        if each.offset >= 0:
            found[each.topic, each.partition] = each.offset, each.metadata or ""
    return found


def _consumer(settings: Settings) -> Consumer:
    """Make a consumer that reads offsets only; it waits until an open transaction has ended."""
    properties = {
        **outsider_properties(settings),
        "group.id": settings.group_id,
        "enable.auto.commit": "false",
        "isolation.level": "read_committed",
    }
    return Consumer(properties, logger=kafka_logger())
