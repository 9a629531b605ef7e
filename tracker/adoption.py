"""Brings Kafka's offsets and the database together again, when they have come apart.

They do so when offsets were moved, a topic was made anew, or a database was restored from an earlier copy or
exchanged. Workers then refuse to go on (`tracker.worker.apply`), since only a person can know what is right:

- *follow the database*: the group's offsets become what the database knows. Nothing that it has seen is
  reported again; what it has applied, and does not know to be published, is forwarded (again).
- *follow Kafka*: the database takes the group's offsets as they are. What lies between is reported and
  forwarded again (the offset is behind), or never reported (it is ahead).
"""

import time
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from tracker.errors import TrackerError
from tracker.kafka.topics import topic_ids
from tracker.logs import kafka_logger
from tracker.settings import Settings
from tracker.store.connect import connect
from tracker.store.deployment import claim_deployment
from tracker.store.queries import query

Leader = Literal["database", "kafka"]

_TIMEOUT_S = 15.0
_LEAVE_S = 5.0  # for members that have just been stopped


@dataclass(frozen=True, slots=True)
class Place:
    """A Kafka partition of a tracking topic, or the scheduler's ledger, as both sides see it.

    Offsets are None where there is none. `applied` and `published` are the database's: all below them is. For
    the ledger, numbers take the place of offsets.
    """

    name: str
    topic: str
    kafka_partition: int
    is_ledger: bool
    committed: int | None
    of_database: str  # the metadata of the commit
    topic_id: str
    applied: int | None
    published: int | None
    applied_topic_id: str


@dataclass(frozen=True, slots=True)
class Change:
    """What is wrong with a place, and what is done about it."""

    place: Place
    wrong: str
    remedy: str
    new_offset: int | None  # of both sides; None: both forget the place
    in_kafka: bool  # otherwise in the database


def plan(settings: Settings, leader: Leader) -> list[Change]:
    """Compare Kafka and the database, and return what would have to be changed; empty where all is well.

    :raises TrackerError: a broker or the database does not answer, or the database serves another group.
    """
    database_id = claim_deployment(settings)
    changes = []
    for place in _survey(settings):
        wrong = _what_is_wrong(place, database_id)
        if wrong:
            changes.append(_change(place, wrong, leader))
    return changes


def carry_out(settings: Settings, changes: list[Change]) -> None:
    """Make the changes.

    :raises TrackerError: the group still has members, or Kafka or PostgreSQL refuses.
    """
    _require_no_members(settings)
    database_id = claim_deployment(settings)
    with connect(settings.database_conninfo()) as connection:
        for change in changes:
            _in_database(connection, change)
    for change in changes:
        if change.new_offset is not None:
            _in_kafka(settings, change, database_id)


# What there is


def _survey(settings: Settings) -> list[Place]:
    try:
        ids = topic_ids(AdminClient(dict(settings.kafka_client_properties())), settings.topics)
        consumer = _consumer(settings, settings.group_id)
        try:
            committed = _committed(consumer, _tracking_partitions(consumer, settings))
        finally:
            consumer.close()
    except KafkaException as error:
        raise TrackerError(f"Kafka does not answer: {error.args[0].str()}") from None
    with connect(settings.database_conninfo()) as connection:
        rows: list[Any] = connection.execute(query("read_progress")).fetchall()
    known: dict[tuple[str, int], Any] = {(topic, number): rest for topic, number, *rest in rows}
    places = []
    for key in sorted({*committed, *known}):
        offset, metadata = committed.get(key, (None, ""))
        applied, published, applied_id = known.get(key, [None, None, ""])
        name = f"Kafka partition {key[1]} of topic {key[0]!r}"
        places.append(
            Place(name, *key, False, offset, metadata, ids.get(key[0], ""), applied, published, applied_id)
        )
    return [*places, _ledger(settings)]


def _ledger(settings: Settings) -> Place:
    topic = settings.topics[0]
    consumer = _consumer(settings, f"{settings.group_id}-scheduler")
    try:
        offset, metadata = _committed(consumer, [(topic, 0)]).get((topic, 0), (None, ""))
    except KafkaException as error:
        raise TrackerError(f"Kafka does not answer: {error.args[0].str()}") from None
    finally:
        consumer.close()
    with connect(settings.database_conninfo()) as connection:
        numbers: list[Any] = connection.execute(query("lock_deployment")).fetchall()
    [(_, last, sent)] = numbers
    return Place("the scheduler's ledger", topic, 0, True, offset, metadata, "", last, sent, "")


def _tracking_partitions(consumer: Consumer, settings: Settings) -> list[tuple[str, int]]:
    found = []
    for topic in settings.topics:
        metadata = consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
        found += [(topic, number) for number in metadata.partitions]
    return found


def _committed(consumer: Consumer, keys: list[tuple[str, int]]) -> dict[tuple[str, int], tuple[int, str]]:
    partitions = [TopicPartition(*key) for key in keys]
    return {
        (found.topic, found.partition): (found.offset, found.metadata or "")
        for found in consumer.committed(partitions, timeout=_TIMEOUT_S)
        if found.error is None and found.offset >= 0
    }


# What is to be done


def _what_is_wrong(place: Place, database_id: str) -> str:
    """Return it in words, or nothing where both sides agree. The rules are those of the workers."""
    committed, applied, published = place.committed, place.applied, place.published
    wrong = ""
    if _made_anew(place):
        wrong = "the topic was deleted and made anew"
    elif committed is None:
        if published and not (place.is_ledger and applied == published):
            wrong = f"the group's offset is gone; the database knows all below {published} to be published"
    elif place.of_database and place.of_database != database_id:
        wrong = f"the group's offset {committed} was committed with another database ({place.of_database})"
    elif applied is None or published is None:
        wrong = f"the group's offset is {committed}, and the database knows nothing of it"
    elif committed > applied:
        wrong = f"the group's offset {committed} is ahead of what the database has applied ({applied})"
    elif committed < published:
        wrong = f"the group's offset {committed} is behind what is known to be published ({published})"
    return wrong


def _made_anew(place: Place) -> bool:
    return bool(place.topic_id and place.applied_topic_id and place.topic_id != place.applied_topic_id)


def _change(place: Place, wrong: str, leader: Leader) -> Change:
    if _made_anew(place) and place.committed is None:
        return Change(place, wrong, "begin at the start of the new topic", None, in_kafka=False)
    if (
        not _made_anew(place)
        and leader == "database"
        and place.applied is not None
        and place.published is not None
    ):
        offset = place.committed if place.committed is not None else place.published
        offset = min(max(offset, place.published), place.applied)
        return Change(place, wrong, f"the group's offset becomes {offset}", offset, in_kafka=True)
    if place.committed is None:
        return Change(place, wrong, "begin at the start of the topic", None, in_kafka=False)
    remedy = f"the database takes {place.committed} for applied and published"
    return Change(place, wrong, remedy, place.committed, in_kafka=False)


# Doing it


def _require_no_members(settings: Settings) -> None:
    admin = AdminClient(dict(settings.kafka_client_properties()))
    deadline = time.monotonic() + _LEAVE_S
    while members := _count_members(admin, settings.group_id):
        if time.monotonic() > deadline:
            raise TrackerError(
                f"the group {settings.group_id!r} has {members} members: stop every 'tracker run' of it first"
            )
        time.sleep(0.2)


def _count_members(admin: AdminClient, group_id: str) -> int:
    try:
        [answer] = admin.describe_consumer_groups([group_id], request_timeout=_TIMEOUT_S).values()
        return len(answer.result(timeout=_TIMEOUT_S).members)
    except KafkaException as error:
        if error.args[0].name() == "GROUP_ID_NOT_FOUND":
            return 0
        raise TrackerError(f"Kafka does not tell who is in the group: {error.args[0].str()}") from None


def _in_database(connection: psycopg.Connection[Any], change: Change) -> None:
    place = change.place
    if change.in_kafka:
        return
    parameters = {"topic": place.topic, "kafka_partition": place.kafka_partition, "offset": change.new_offset}
    if place.is_ledger:
        connection.execute(query("set_ledger"), {"number": change.new_offset or 0})
        return
    connection.execute(query("return_to_scheduler"), parameters)
    if change.new_offset is None:
        connection.execute(query("forget_progress"), parameters)
    else:
        connection.execute(query("set_progress"), parameters | {"topic_id": place.topic_id})


def _in_kafka(settings: Settings, change: Change, database_id: str) -> None:
    """Commit the offset anew: with the other offset, or only with this database's ID."""
    place = change.place
    group_id = f"{settings.group_id}-scheduler" if place.is_ledger else settings.group_id
    consumer = _consumer(settings, group_id)
    partition = TopicPartition(place.topic, place.kafka_partition, change.new_offset or 0, database_id)
    try:
        consumer.commit(offsets=[partition], asynchronous=False)
    except KafkaException as error:
        raise TrackerError(f"Kafka does not take the offset of {place.name}: {error.args[0].str()}") from None
    finally:
        consumer.close()


def _consumer(settings: Settings, group_id: str) -> Consumer:
    properties = {**settings.consumer_properties(), "group.id": group_id, "enable.auto.commit": "false"}
    return Consumer(properties, logger=kafka_logger())
