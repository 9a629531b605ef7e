"""Makes the changes."""

import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import psycopg
from confluent_kafka import Consumer, ConsumerGroupState, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from tracker.adoption.plan import Change
from tracker.adoption.survey import TIMEOUT_S, SentNumberState
from tracker.errors import TrackerError
from tracker.kafka.answers import answer_of
from tracker.kafka.explain import explain, kafka_errors
from tracker.kafka.properties import outsider_properties
from tracker.kafka.sent_number import SentNumber
from tracker.logs import kafka_logger
from tracker.settings import Settings
from tracker.store import locks
from tracker.store.connect import connected
from tracker.store.deployment import claim_deployment
from tracker.store.explain import database_errors
from tracker.store.queries import query

_LEAVE_S = 25.0  # a member that was killed, or stopped while it joined, is one until its session ends


def require_stopped(settings: Settings) -> None:
    """Return if nothing of the group runs; wait a moment for what has just been stopped.

    :raises TrackerError: something runs.
    """
    with kafka_errors():
        admin = AdminClient(dict(settings.kafka_client_properties()), logger=kafka_logger())
    deadline = time.monotonic() + _LEAVE_S
    while _has_members(admin, settings.group_id):
        if time.monotonic() > deadline:
            raise TrackerError(
                f"the group {settings.group_id!r} has members: stop every 'tracker run' of it first"
                " (Kafka notices within 20 seconds that one was killed)"
            )
        time.sleep(0.2)


def carry_out(settings: Settings, changes: Sequence[Change]) -> None:
    """Make the changes. If it ends halfway, it can be done again.

    :raises TrackerError: something of the group runs, or Kafka or PostgreSQL refuses.
    """
    require_stopped(settings)
    database_id = claim_deployment(settings)
    with database_errors(), connected(settings.database_conninfo()) as connection:
        [(locked,)] = connection.execute(query("try_scheduler_lock"), {"class": locks.SCHEDULER}).fetchall()
        if not locked:
            raise TrackerError("a scheduler is active: stop every 'tracker run' of the database first")
        for change in changes:
            _in_database(connection, change)
        connection.commit()
        for change in changes:
            if change.offset is not None:
                _in_kafka(settings, change, change.offset, database_id)


def _has_members(admin: AdminClient, group_id: str) -> bool:
    """Tell whether a group has members, by the list of all groups.

    Its coordinator could tell how many, but where that goes away meanwhile, librdkafka (2.16) may end the
    process (its issue 4605).
    """
    try:
        groups = answer_of(admin.list_consumer_groups(request_timeout=TIMEOUT_S), TIMEOUT_S)
    except KafkaException as error:
        raise _unknown_members(error) from None
    for group in groups.valid:
        if group.group_id == group_id:
            return group.state not in (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)
    for problem in groups.errors:  # of brokers, one of which may be the group's
        raise _unknown_members(problem)
    return False


def _unknown_members(error: KafkaException) -> TrackerError:
    return TrackerError(f"it is not known whether the group has members: {explain(error.args[0])}")


def _in_database(connection: psycopg.Connection[Any], change: Change) -> None:
    place = change.place
    if isinstance(place, SentNumberState):
        if change.in_database:
            connection.execute(query("set_sent_number"), {"number": change.offset})
            connection.execute(query("delete_published"), {"sent_number": change.offset})
        return
    parameters = {"topic": place.topic, "kafka_partition": place.kafka_partition}
    if change.starts_below:
        connection.execute(query("return_to_scheduler"), {**parameters, "below": change.starts_below})
    connection.execute(query("remove_stale_skips"), {**parameters, "topic_id": place.topic_id})
    if change.offset is None:
        connection.execute(query("forget_progress"), parameters)
    elif change.in_database:
        progress = {"offset": change.offset, "topic_id": place.topic_id}
        connection.execute(query("set_progress"), parameters | progress)


def _in_kafka(settings: Settings, change: Change, offset: int, database_id: str) -> None:
    """Commit the offset anew: with the other offset, or only with this database's ID."""
    place = change.place
    try:
        if isinstance(place, SentNumberState):
            with closing(SentNumber(settings)) as sent_number:
                sent_number.commit(offset, database_id)
            return
        properties = {**outsider_properties(settings), "group.id": settings.group_id}
        with closing(
            Consumer({**properties, "enable.auto.commit": "false"}, logger=kafka_logger())
        ) as consumer:
            partition = TopicPartition(place.topic, place.kafka_partition, offset, database_id)
            consumer.commit(offsets=[partition], asynchronous=False)
    except KafkaException as error:
        raise TrackerError(f"the offset of {place.name} is not committed: {explain(error.args[0])}") from None
