"""`tracker topics`: show and create the tracking and dead-letter topics, and that of dead letters' states."""

from typing import Annotated, Any

import typer

from tracker.cli.output import Json, print_json, print_rows

# Several for each worker, so that workers share them evenly even after some were added or have died.
_KAFKA_PARTITIONS_PER_WORKER = 4
_FEWEST_KAFKA_PARTITIONS = 16


def topics(
    create: Annotated[bool, typer.Option("--create", help="Create those that are missing.")] = False,
    partitions: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Kafka partitions of a created topic; else four for each of TRACKER_WORKERS and at least 16,"
            " and 1 for those of dead letters and their states.",
        ),
    ] = None,
    replication_factor: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Replicas of a created topic; else the broker's default."),
    ] = None,
    json: Json = False,
) -> None:
    """Show or create the tracking topics and the dead-letter ones."""
    from tracker.dead_letters import state_topic
    from tracker.kafka.inspection import connect_admin, kafka_partition_counts
    from tracker.kafka.topic_creation import BROKERS_DEFAULT, create_topics
    from tracker.settings import load

    settings = load(need={"kafka"})
    admin = connect_admin(settings)
    before = kafka_partition_counts(admin)
    letters, states = settings.dead_letter_topic, state_topic(settings.dead_letter_topic)
    wanted = dict.fromkeys(settings.topics, "tracking") | {letters: "dead letters", states: "their states"}
    missing = [topic for topic in wanted if topic not in before]
    if create and missing:
        default = max(_KAFKA_PARTITIONS_PER_WORKER * settings.workers, _FEWEST_KAFKA_PARTITIONS)
        counts = {topic: partitions or (1 if topic in {letters, states} else default) for topic in missing}
        create_topics(admin, counts, replication_factor or BROKERS_DEFAULT, compacted={states})
    after = kafka_partition_counts(admin) if create and missing else before
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
