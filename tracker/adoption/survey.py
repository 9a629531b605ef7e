"""What Kafka and the database say of each Kafka partition, and of the scheduler's last sent number."""

from contextlib import closing
from dataclasses import dataclass

from tracker.agreement import Known
from tracker.errors import TrackerError
from tracker.kafka.explain import kafka_errors
from tracker.kafka.inspection import GroupOffsets, connect_admin
from tracker.kafka.sent_number import SentNumber
from tracker.kafka.topics import topic_ids
from tracker.kafka_partition import KafkaPartition, describe
from tracker.logs import kafka_logger
from tracker.settings import Settings
from tracker.store.adoption_store import adoption_store


@dataclass(frozen=True, slots=True)
class KafkaPartitionState:
    """A Kafka partition of a tracking topic."""

    kafka_partition: KafkaPartition
    committed: int | None  # offset; None: none is committed
    metadata: str  # of the commit
    topic_id: str
    known: Known | None
    log: tuple[int, int] | None  # where it begins and ends; None: the topic does not exist

    @property
    def name(self) -> str:
        """What people call it."""
        return describe(self.kafka_partition)


@dataclass(frozen=True, slots=True)
class SentNumberState:
    """The scheduler's last sent number."""

    group_id: str
    committed: int | None  # the number
    metadata: str
    known: Known

    @property
    def name(self) -> str:
        """What people call it."""
        return f"the scheduler's last sent number (group {self.group_id!r})"


def survey(settings: Settings) -> list[KafkaPartitionState]:
    """Look at every Kafka partition of the tracking topics, and at what else the database knows of.

    :raises TrackerError: Kafka or the database does not answer, or a tracking topic does not exist.
    """
    with adoption_store(settings.database_conninfo()) as store:
        known = store.read_progress()
    topics = list(dict.fromkeys([*settings.topics, *(topic for topic, _ in known)]))
    with kafka_errors(), closing(GroupOffsets(settings)) as group:
        ids = topic_ids(connect_admin(settings, kafka_logger()), topics)
        kafka_partitions = group.kafka_partitions(topics)
        missing = sorted(set(settings.topics) - {topic for topic, _ in kafka_partitions})
        if missing:
            raise TrackerError(
                f"topics are missing, and 'tracker topics --create' creates them: {', '.join(missing)}"
            )
        committed = group.committed(kafka_partitions)
        logs = group.watermarks(kafka_partitions)
    states = []
    for key in sorted({*kafka_partitions, *known}):
        offset, metadata = committed.get(key, (None, ""))
        topic_id = ids.get(key[0], "")
        states.append(KafkaPartitionState(key, offset, metadata, topic_id, known.get(key), logs.get(key)))
    return states


def survey_sent_number(settings: Settings, database_id: str) -> SentNumberState:
    """Look at the scheduler's last sent number.

    :raises TrackerError: Kafka or the database does not answer.
    """
    with kafka_errors(), closing(SentNumber(settings)) as sent_number:
        number, metadata = sent_number.read(database_id)
    with adoption_store(settings.database_conninfo()) as store:
        known = store.read_send_numbers()
    return SentNumberState(sent_number.group_id, number, metadata, known)
