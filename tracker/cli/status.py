"""`tracker status`: what runs, how far it is, and what needs a person."""

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.output import Json, counted, print_fields, print_json, print_rows, time_text

if TYPE_CHECKING:
    from tracker.diagnosis.status import Status

_INTERVAL_S = 5.0
_MAX_KAFKA_PARTITIONS = 10
_CLEAR_SCREEN = "\x1b[2J\x1b[H"


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Look again every 5 s, until Ctrl-C.")] = False,
    json: Json = False,
) -> None:
    """Show what runs, how far it is, and what needs a person.

    The exit status is 1 if something needs a person.
    """
    from tracker.diagnosis.problems import find_status
    from tracker.settings import load

    settings = load()
    found = find_status(settings)
    _print(found, json=json, clear=watch)
    while watch:
        time.sleep(_INTERVAL_S)
        found = find_status(settings, found)
        _print(found, json=json, clear=True)
    if not found.ok:
        raise typer.Exit(1)


def _print(found: "Status", *, json: bool, clear: bool) -> None:
    if json:
        print_json([found.as_json()])
    else:
        if clear and sys.stdout.isatty():
            print(_CLEAR_SCREEN, end="")
        _print_screen(found)
    sys.stdout.flush()


def _print_screen(found: "Status") -> None:
    print_fields(_fields(found))
    late = sorted(
        (each for each in found.kafka_partitions or () if each.lag_records),
        key=lambda each: -each.lag_records,
    )
    columns = ("KAFKA PARTITION", "RECORDS", "SECONDS", "MEMBER")
    print_rows(
        columns,
        (
            (f"{each.topic}:{each.kafka_partition}", each.lag_records, _seconds(each.lag_s), each.member)
            for each in late[:_MAX_KAFKA_PARTITIONS]
        ),
        unbroken=columns[:1],
    )
    if len(late) > _MAX_KAFKA_PARTITIONS:
        print(f"and {counted(len(late) - _MAX_KAFKA_PARTITIONS, 'more Kafka partition')} with lag")
    for problem in found.problems:
        print(problem.text + (f"\n    {problem.command}" if problem.command else ""))


def _fields(found: "Status") -> Iterator[tuple[str, object]]:
    yield "time", time_text(found.as_of_ms)
    yield "members", _known(found.members, f"{found.members}, {found.workers_ready} ready")
    active = "active" if found.scheduler_active else "none is active"
    yield "scheduler", _known(found.scheduler_active, active)
    yield "lag", _known(found.kafka_partitions, _lag(found))
    yield "records/s", _known(found.records_per_second, f"{found.records_per_second or 0:,.0f}")
    yield "slowest stage", found.slowest_stage or "none"
    due = found.oldest_due
    yield (
        "oldest due job",
        (due and f"{due.partition_id}:{due.job_id}, {due.due_s:,.0f} s")
        or ("none" if found.due_was_asked else _UNKNOWN),
    )
    yield "dead letters", _letters(found)
    yield "jobs", _jobs(found)
    yield "database", _database(found)


_UNKNOWN = "not known"


def _known(value: object, text: str) -> str:
    return _UNKNOWN if value is None else text


def _lag(found: "Status") -> str:
    each = found.kafka_partitions or ()
    records = sum(one.lag_records for one in each)
    oldest_s = max((one.lag_s or 0.0 for one in each), default=0.0)
    oldest = f", the oldest for {oldest_s:,.0f} s" if oldest_s else ""
    return f"{counted(records, 'record')} in {counted(len(each), 'Kafka partition')}{oldest}"


def _letters(found: "Status") -> str:
    letters = found.letters
    if letters is None:
        return _UNKNOWN
    more = "" if letters.is_complete else " or more"
    return f"{letters.open:,}{more} open, {letters.last_hour:,} in the last hour"


def _jobs(found: "Status") -> str:
    if found.jobs is None:
        return _UNKNOWN
    counts = (
        f"{name} {'about ' if each.estimate else ''}{each.count:,}"
        for name, each in found.jobs.items()
        if each.count
    )
    return ", ".join(counts) or "none"


def _database(found: "Status") -> str:
    figures = found.database
    if figures is None:
        return _UNKNOWN
    oldest = _known(figures.oldest_transaction_s, f"{figures.oldest_transaction_s or 0:,.0f} s")
    return (
        f"{figures.size_bytes / 1_000_000:,.1f} MB, {counted(figures.dead_rows, 'dead row')},"
        f" oldest transaction {oldest}"
    )


def _seconds(lag_s: float | None) -> str:
    return "" if lag_s is None else f"{lag_s:,.0f}"
