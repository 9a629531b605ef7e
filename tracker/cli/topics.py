"""`tracker topics`: show and create the tracking and dead-letter topics."""

import logging
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tracker.cli.output import Json, print_json, print_rows

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

    from tracker.settings import Settings

_TIMEOUT_S = 15.0
# Workers share Kafka partitions out evenly, also if some are added or die: a few times as many as workers.
_PARTITIONS_A_WORKER = 4
_FEWEST_PARTITIONS = 16
_BROKERS_CHOICE = -1


def topics(
    create: Annotated[bool, typer.Option("--create", help="Create those that are missing.")] = False,
    partitions: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Kafka partitions of a created topic; else four for each of TRACKER_WORKERS and at least 16,"
            " and 1 for the dead-letter topic.",
        ),
    ] = None,
    replication_factor: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Replicas of a created topic; else the broker's default."),
    ] = None,
    json: Json = False,
) -> None:
    """Show, and create, the tracking topics and the dead-letter topic."""
    from tracker.settings import load

    settings = load(need={"kafka"})
    admin = _connect(settings)
    before = _count_partitions(admin)
    wanted = dict.fromkeys(settings.topics, "tracking") | {settings.dead_letter_topic: "dead letters"}
    missing = [topic for topic in wanted if topic not in before]
    if create and missing:
        default = max(_PARTITIONS_A_WORKER * settings.workers, _FEWEST_PARTITIONS)
        counts = {
            topic: partitions or (1 if topic == settings.dead_letter_topic else default) for topic in missing
        }
        _create(admin, counts, replication_factor or _BROKERS_CHOICE)
    after = _count_partitions(admin) if create and missing else before
    shown = [
        {
            "topic": topic,
            "role": role,
            "exists": topic in after,
            "created": topic in after and topic not in before,
            "partitions": after.get(topic, 0),
        }
        for topic, role in wanted.items()
    ]
    if json:
        print_json(shown)
    else:
        print_rows(("TOPIC", "FOR", "STATE", "KAFKA PARTITIONS"), map(_row, shown))


def _row(topic: dict[str, Any]) -> tuple[object, ...]:
    state = "created" if topic["created"] else "exists" if topic["exists"] else "missing"
    return topic["topic"], topic["role"], state, topic["partitions"] or ""


def _connect(settings: "Settings") -> "AdminClient":
    from confluent_kafka.admin import AdminClient

    from tracker.kafka.explain import kafka_errors

    # Without a logger of its own, librdkafka writes to stderr, where the sentences go.
    silent = logging.getLogger("tracker.topics")
    silent.addHandler(logging.NullHandler())
    silent.propagate = False
    with kafka_errors():
        return AdminClient({**settings.kafka_client_properties()}, logger=silent)


def _count_partitions(admin: "AdminClient") -> dict[str, int]:
    """Return the number of Kafka partitions of every topic there is.

    To ask for one topic by name could create it, where the broker does so.
    """
    from tracker.kafka.explain import kafka_errors

    with kafka_errors():
        found = admin.list_topics(timeout=_TIMEOUT_S).topics
    return {name: len(topic.partitions) for name, topic in found.items() if topic.error is None}


def _create(admin: "AdminClient", topics: dict[str, int], replication_factor: int) -> None:
    """Create topics; one that somebody else has just created is as good."""
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import NewTopic

    from tracker.kafka.explain import kafka_errors

    new = [NewTopic(topic, partitions, replication_factor) for topic, partitions in topics.items()]
    for topic, future in admin.create_topics(new, request_timeout=_TIMEOUT_S).items():
        with kafka_errors(f"the topic {topic} could not be created"):
            try:
                future.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
    # The brokers learn of a new topic one after the other.
    _await_topics(admin, list(topics))


def _await_topics(admin: "AdminClient", topics: list[str]) -> None:
    import time

    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline and not _count_partitions(admin).keys() >= set(topics):
        time.sleep(0.1)
