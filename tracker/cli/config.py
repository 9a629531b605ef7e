"""`tracker config`: the effective settings, and whether Kafka and PostgreSQL are there and ready."""

import json as encoder
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tracker.settings import Row, Settings


def config(
    check: Annotated[
        bool, typer.Option("--check", help="Also connect to Kafka and PostgreSQL, and say what is wrong.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Show the effective settings, and where each comes from.

    Secrets are masked.
    """
    from tracker.settings import describe, load

    settings = load()
    for warning in settings.warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    rows = describe(settings)
    if json:
        _print_json(rows)
    elif sys.stdout.isatty():
        _print_table(rows)
    else:
        _print_plain(rows)
    if check and not _check(settings, json=json):
        raise typer.Exit(1)


def _print_json(rows: "Iterable[Row]") -> None:
    for row in rows:
        print(
            encoder.dumps(
                {"value" if key == "value_masked" else key: value for key, value in row._asdict().items()}
            )
        )


def _print_plain(rows: "Iterable[Row]") -> None:
    for row in rows:
        print(f"{row.name}={_in_one_line(row.value_masked)}  # {row.origin}")


def _print_table(rows: "Iterable[Row]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold")
    table.add_column("Variable", no_wrap=True)
    table.add_column("Value", overflow="fold")
    table.add_column("Origin", overflow="fold")
    for row in rows:
        origin = "set" if row.origin == row.name else row.origin
        cells = (row.name, _in_one_line(row.value_masked), origin)
        table.add_row(*map(Text, cells), style="dim" if row.origin == "default" else "")
    Console().print(table)


def _in_one_line(value: str) -> str:
    return value if value.isprintable() else encoder.dumps(value)


def _check(settings: "Settings", *, json: bool) -> bool:
    """Print what the checks find; return whether all of it is good. Complaints go to stderr."""
    from tracker.diagnosis.checks import Finding, check_database, check_kafka

    findings: Iterator[Finding] = chain(check_kafka(settings), check_database(settings))
    good = True
    for finding in findings:
        good = good and finding.good
        if json:
            print(encoder.dumps({"check": finding.subject, "good": finding.good, "text": finding.text}))
        else:
            print(finding.text, file=sys.stdout if finding.good else sys.stderr)
    return good
