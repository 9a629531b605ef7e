"""How commands print: JSON, a table on a terminal, aligned text elsewhere."""

import json as encoder
import sys
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from tracker.json_lines import on_one_line

if TYPE_CHECKING:
    import msgspec

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]

_ROWS_ALIGNED = 1_000  # at a time, so that a million rows are printed as they arrive
_LINES_WRITTEN = 100  # at a time; to write each by itself takes five times as long

Row = Sequence[object]


def print_json(items: "Iterable[msgspec.Struct | dict[str, Any]]") -> None:
    """Print one JSON object a line."""
    import msgspec

    encode = msgspec.json.Encoder().encode_lines
    items = iter(items)
    while batch := list(islice(items, _LINES_WRITTEN)):
        sys.stdout.write(on_one_line(encode(batch)).decode())


def print_rows(columns: Sequence[str], rows: Iterable[Row], unbroken: Collection[str] = ()) -> None:
    """Print rows below the names of their columns, or nothing if there are none.

    On a terminal, cells of the columns that are `unbroken` stay on one line, so that people can copy them.
    """
    is_terminal = sys.stdout.isatty()
    rows = iter(rows)
    header: Sequence[str] | None = columns
    while batch := [[in_one_line(cell) for cell in row] for row in islice(rows, _ROWS_ALIGNED)]:
        if is_terminal:
            _draw(columns, batch, unbroken, show_header=header is not None)
        else:
            _align(sys.stdout, [header, *batch] if header else batch)
        header = None


def print_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Print the fields of one thing, a line for each name and value."""
    _align(sys.stdout, [(name, in_one_line(value)) for name, value in fields])


def in_one_line(value: object) -> str:
    """Return a value as text on one line, without anything that a terminal would act on."""
    text = "" if value is None else str(value)
    return text if text.isprintable() else encoder.dumps(text)


def time_text(time_ms: int) -> str:
    """Return a time in milliseconds since 1970 as readable text, in UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def counted(number: int, noun: str) -> str:
    """Return ``1 job``, ``2 jobs``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _align(file: IO[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        file.write(line.rstrip() + "\n")


def _draw(
    columns: Sequence[str], rows: Sequence[Sequence[str]], unbroken: Collection[str], *, show_header: bool
) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", show_header=show_header)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in unbroken)
    for row in rows:
        table.add_row(*map(_styled, row))
    Console().print(table)


def _styled(cell: str) -> Any:
    from rich.text import Text

    return Text(cell, style=_STYLES.get(cell, ""))


_STYLES = {
    "Active": "cyan",
    "Paused": "yellow",
    "Failed": "red",
    "Cancelled": "magenta",
    "Completed": "green",
    "suspended": "yellow",
    "missing": "red",
}
