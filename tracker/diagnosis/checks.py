"""Checks whether Kafka and PostgreSQL are available and ready for the tracker, and says so in sentences."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from tracker.dead_letters import state_topic
from tracker.diagnosis.limits import problems_of_limits, warnings_of_limits
from tracker.diagnosis.replicas import warnings_of_replicas
from tracker.errors import TrackerError, sentence
from tracker.kafka.dead_letters import unfit
from tracker.kafka.errors import reason_of
from tracker.kafka.explain import kafka_errors
from tracker.kafka.inspection import AdminClient, ClusterMetadata, inspect_cluster
from tracker.kafka.topic_creation import compaction_problem, creation_refusal
from tracker.kafka.topics import Access, idle_workers, topic_limits, write_access
from tracker.settings import Settings
from tracker.store import grants, migrate
from tracker.store.clock import difference, seconds_ahead
from tracker.store.connect import Connection, connected

_CLOCK_TOLERANCE_S = 60.0


class Finding(NamedTuple):
    """The result of one check."""

    subject: str  # kafka, topics, limits, postgresql, clock, schema or rights
    good: bool
    text: str


def _good(subject: str, text: str) -> Finding:
    return Finding(subject, good=True, text=text)


def _bad(subject: str, text: str) -> Finding:
    return Finding(subject, good=False, text=text)


def check_kafka(settings: Settings) -> Iterator[Finding]:
    """Connect to Kafka; yield whether it answers, and then whether each topic of the tracker exists."""
    try:
        admin, metadata = inspect_cluster(settings)
    except TrackerError as error:
        yield _bad("kafka", sentence(str(error)))
        return
    brokers = ", ".join(f"{broker.host}:{broker.port}" for broker in metadata.brokers.values())
    yield _good("kafka", f"Kafka answers: cluster {metadata.cluster_id}, brokers {brokers}.")
    yield from _check_topics(settings, metadata)
    for problem in problems_of_limits(settings, admin, metadata):
        yield _bad("limits", problem)
    for warning in warnings_of_limits(settings, admin, metadata):
        yield _good("limits", f"Warning: {warning}")
    for why in unfit(topic_limits(admin, settings.dead_letter_topic)):
        yield _bad("topics", f"The dead-letter topic {settings.dead_letter_topic} is not fit: {why}.")
    yield _check_state_topic(settings, admin)


def _check_topics(settings: Settings, metadata: ClusterMetadata) -> Iterator[Finding]:
    kinds = dict.fromkeys(settings.topics, "tracking topic") | {
        settings.dead_letter_topic: "dead-letter topic"
    }
    for name, kind in kinds.items():
        topic = metadata.topics.get(name)
        if topic is None:
            yield _bad("topics", f"The {kind} {name} is missing: create it with `tracker topics --create`.")
        elif topic.error is not None:
            yield _bad("topics", f"The {kind} {name} cannot be used: {reason_of(topic.error)}.")
        else:
            count = len(topic.partitions)
            plural = "" if count == 1 else "s"
            yield _good("topics", f"The {kind} {name} has {count} Kafka partition{plural}.")
    found = [metadata.topics[name] for name in settings.topics if name in metadata.topics]
    count = sum(len(topic.partitions) for topic in found)
    if count and (warning := idle_workers(count, settings.workers)):
        yield _good("topics", f"Warning: {warning}.")
    for warning in warnings_of_replicas(settings, metadata):
        yield _good("topics", f"Warning: {warning}.")


def _check_state_topic(settings: Settings, admin: AdminClient) -> Finding:
    """Look at the topic that `tracker dead-letters replay` and `drop` write; `tracker run` does without it.

    So a user who may not write it, as the one that only runs the tracker, is a warning.
    """
    name = state_topic(settings.dead_letter_topic)
    try:
        with kafka_errors():
            access = write_access(admin, name)
    except TrackerError as error:
        return _bad("topics", sentence(f"the topic of states {name} cannot be looked at: {error}"))
    but = "and `tracker dead-letters replay` and `drop` must"
    if access is Access.NO_RIGHT:
        return _good("topics", f"Warning: you may not write to the topic of states {name}, {but}.")
    if access is Access.NO_TOPIC and (why_not := creation_refusal(admin, name)):
        return _good("topics", f"Warning: the topic of states {name} is missing, {but} create it: {why_not}.")
    if access is Access.NO_TOPIC:
        return _good("topics", f"The topic of states {name} is missing: the first replay or drop creates it.")
    if problem := compaction_problem(admin, name):
        return _bad("topics", f"The topic of states {name} {problem}.")
    return _good("topics", f"The topic of states {name} is compacted, and may be written to.")


def check_database(settings: Settings) -> Iterator[Finding]:
    """Connect to PostgreSQL; yield whether it answers, and then whether its schema matches this program."""
    try:
        with connected(settings.database_conninfo(), application_name="tracker config") as connection:
            info = connection.info
            server = info.parameter_status("server_version") or str(info.server_version)
            login = f"database {info.dbname} on {info.host or 'this machine'} as {info.user}"
            yield _good("postgresql", f"PostgreSQL answers: version {server}, {login}.")
            yield from _check_clock(connection)
            yield from _check_schema(connection)
    except TrackerError as error:
        yield _bad("postgresql", sentence(str(error)))


def _check_clock(connection: Connection) -> Iterator[Finding]:
    ahead_s = seconds_ahead(connection)
    if abs(ahead_s) > _CLOCK_TOLERANCE_S:
        yield _bad(
            "clock",
            f"This machine's clock is {difference(ahead_s)} PostgreSQL's: set it right, because Kafka refuses"
            " messages whose time is too far off (message.timestamp.after.max.ms, by default an hour).",
        )


def _check_schema(connection: Connection) -> Iterator[Finding]:
    for subject, check, good in (
        ("schema", migrate.check_schema, "The schema is this program's."),
        (
            "rights",
            partial(grants.require, rights=grants.RUN),
            "The role has all rights that it needs to run.",
        ),
    ):
        try:
            check(connection)
        except TrackerError as error:
            yield _bad(subject, sentence(str(error)))
            return
        yield _good(subject, good)
