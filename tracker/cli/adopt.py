"""`tracker adopt`: bring Kafka's offsets and the database together again."""

from enum import StrEnum
from typing import Annotated

import typer

from tracker.cli.output import Json, counted, print_json, sentence


class Leader(StrEnum):
    """Whose word counts."""

    DATABASE = "database"
    KAFKA = "kafka"


def adopt(
    leader: Annotated[
        Leader,
        typer.Argument(
            help="database: the group's offsets become what the database knows; what it does not know to be"
            " published is forwarded again. kafka: the database takes the group's offsets as they are; what"
            " lies between is reported and forwarded again, or never."
        ),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what is wrong, and what would be done.")
    ] = False,
    json: Json = False,
) -> None:
    """Bring Kafka's offsets and the database together, when workers refuse since they have come apart.

    Stop every `tracker run` of the group first, and find out how it came about.
    """
    from tracker import adoption
    from tracker.settings import load

    settings = load()
    if not dry_run:
        adoption.require_stopped(settings)
    changes = adoption.plan(settings, leader.value)
    if json:
        print_json({"place": c.place.name, "wrong": c.wrong, "remedy": c.remedy} for c in changes)
    else:
        for change in changes:
            typer.echo(sentence(f"{change.place.name}: {change.wrong}; {change.remedy}"))
    if changes and not dry_run:
        adoption.carry_out(settings, changes)
    if not json:
        done = "would be changed" if dry_run else "changed"
        typer.echo(
            f"{counted(len(changes), 'offset')} {done}." if changes else "Kafka and the database agree."
        )
