"""`tracker adopt`: bring Kafka's offsets and the database together; skip what cannot be received."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.output import Json, counted, print_json
from tracker.cli.progress_bar import working
from tracker.errors import sentence
from tracker.kafka_partition import read_record_name

if TYPE_CHECKING:
    from tracker.settings import Settings


class Leader(StrEnum):
    """The side that is right."""

    DATABASE = "database"
    KAFKA = "kafka"


def adopt(
    leader: Annotated[
        Leader | None,
        typer.Argument(
            help="database: the group's offsets become what the database knows; what it does not know to be"
            " published is forwarded again. kafka: the database takes the group's offsets as they are; what"
            " lies between is reported and forwarded again, or never."
        ),
    ] = None,
    skip: Annotated[
        str | None,
        typer.Option(
            "--skip",
            metavar="TOPIC:PARTITION:OFFSET",
            help="Instead: skip a record that cannot be received. No worker has to stop: the one that"
            " has the Kafka partition does it within 10 s, and leaves a dead letter that says what is known.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what is wrong, and what would be done.")
    ] = False,
    json: Json = False,
) -> None:
    """Bring Kafka's offsets and the database together again.

    Do this when workers refuse to continue because the two disagree. First stop every `tracker run` of the
    group, and find out why they disagree. With --skip, a record that cannot be received is skipped instead.
    """
    from tracker.settings import load

    if (leader is None) == (skip is None):
        raise typer.BadParameter("name 'database' or 'kafka', or what to skip with --skip")
    if skip is not None:
        _skip(load(), skip, dry_run=dry_run, json=json)
    elif leader is not None:
        _adopt(load(), leader, dry_run=dry_run, json=json)


def _adopt(settings: "Settings", leader: Leader, *, dry_run: bool, json: bool) -> None:
    from tracker import adoption

    with working("Comparing Kafka and the database ..."):
        if not dry_run:
            adoption.require_stopped(settings)
        changes = adoption.plan(settings, leader.value)
    if json:
        print_json({"place": c.state.name, "wrong": c.wrong, "remedy": c.remedy} for c in changes)
    else:
        for change in changes:
            typer.echo(sentence(f"{change.state.name}: {change.wrong}; {change.remedy}"))
    if changes and not dry_run:
        with working("Changing offsets ..."):
            adoption.carry_out(settings, changes)
    if not json:
        done = "would be changed" if dry_run else "changed"
        typer.echo(
            f"{counted(len(changes), 'offset')} {done}." if changes else "Kafka and the database agree."
        )


def _skip(settings: "Settings", record: str, *, dry_run: bool, json: bool) -> None:
    from tracker import adoption

    name = read_record_name(record)
    if name is None:
        raise typer.BadParameter(f"{record!r} is not TOPIC:PARTITION:OFFSET", param_hint="--skip")
    skip = adoption.plan_skip(settings, *name)
    if not dry_run:
        adoption.store_skip(settings, skip)
    if json:
        print_json([skip._asdict()])
        return
    done = "would be skipped" if dry_run else "are skipped within 10 s, if a worker runs"
    typer.echo(
        sentence(
            f"Kafka partition {skip.kafka_partition} of topic {skip.topic!r}: {skip.describe_offsets()}"
            f" cannot be received ({skip.reason}) and {done}"
        )
    )
