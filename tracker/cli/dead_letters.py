"""`tracker dead-letters`: list refused records, and show one; `change_letters` has the other commands."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tracker.cli.letter_options import (
    Job,
    Reasons,
    Record,
    ScanLimit,
    Since,
    Sources,
    Until,
    letter_time,
    open_reader,
    print_how_far,
    read_filter,
    require_topics,
)
from tracker.cli.output import Json, print_fields, print_json, print_rows
from tracker.errors import InvalidQuery

if TYPE_CHECKING:
    from tracker.dead_letters import DeadLetter, FoundLetter, LetterScan

app = typer.Typer(help="List, show, replay and drop dead letters.", no_args_is_help=True)

_DEFAULT_LIMIT = 100
_HOUR_MS = 3_600_000


Limit = Annotated[int | None, typer.Option(min=0, metavar="N", help="How many at most, else 100; 0: all.")]
Summary = Annotated[bool, typer.Option("--summary", help="Count them by hour and reason instead.")]
AnyState = Annotated[bool, typer.Option("--all", help="Also those that were replayed or dropped.")]


@app.command("list")
def list_letters(  # noqa: PLR0913, PLR0917 - an option is a parameter
    reason: Reasons = None,
    source: Sources = None,
    job: Job = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    summary: Summary = False,
    any_state: AnyState = False,
    scan_limit: ScanLimit = 1_000_000,
    json: Json = False,
) -> None:
    """List dead letters, the newest first. On stderr it says how far it looked."""
    if summary and limit is not None:
        raise typer.BadParameter("--limit is not for --summary, which counts all; --scan-limit is")
    wanted = read_filter(reason, source, job, since, until, any_state=any_state)
    with closing(open_reader()) as reader:
        scan = reader.scan(wanted, scan_limit)
        if summary:
            found = _print_summary(scan, json=json)
        else:
            found = _print_letters(scan, _DEFAULT_LIMIT if limit is None else limit, json=json)
        if not found:
            require_topics(reader, source or ())
        print_how_far(scan, has_since=since is not None)


@app.command()
def show(
    record: Record,
    value: Annotated[bool, typer.Option("--value", help="Also the value.")] = False,
    json: Json = False,
) -> None:
    """Show a dead letter with its headers. Control characters are escaped."""
    from tracker.dead_letters import read_record

    name = read_record(record)
    with closing(open_reader()) as reader:
        try:
            found = reader.find(name)
        except InvalidQuery as error:
            raise typer.BadParameter(str(error), param_hint="RECORD") from None
    if json:
        print_json([_as_json(found, with_value=value)])
    else:
        print_fields(_fields(found, with_value=value))


def _print_letters(scan: "LetterScan", limit: int, *, json: bool) -> int:
    """Print dead letters as they are found; return how many."""
    found = 0

    def each() -> "Iterator[DeadLetter]":
        nonlocal found
        for letter in islice(scan, limit or None):
            found += 1
            yield letter

    if json:
        print_json(letter.as_json() for letter in each())
    else:
        columns = ("RECORD", "TIME", "REASON", "JOB", "BYTES", "REFUSED", "STATE", "DETAIL")
        print_rows(columns, map(_row, each()), unbroken=columns[:3])
    return found


def _print_summary(scan: "LetterScan", *, json: bool) -> int:
    """Print how many dead letters there are of each hour and reason; return of how many."""
    counts: Counter[tuple[int, str]] = Counter()
    for letter in scan:
        time_ms = -1 if letter.timestamp_ms is None else letter.timestamp_ms
        counts[time_ms // _HOUR_MS, letter.refusal.reason if letter.refusal else ""] += 1
    rows = [
        (None if hour < 0 else hour * _HOUR_MS, reason, count)
        for (hour, reason), count in sorted(counts.items(), key=lambda item: (-item[0][0], item[0][1]))
    ]
    if json:
        print_json({"hour": hour, "reason": reason, "count": count} for hour, reason, count in rows)
    else:
        print_rows(("HOUR", "REASON", "COUNT"), ((letter_time(hour), *rest) for hour, *rest in rows))
    return counts.total()


def _row(letter: "DeadLetter") -> tuple[object, ...]:
    refusal = letter.refusal
    return (
        letter.record,
        letter_time(letter.timestamp_ms),
        refusal and refusal.reason,
        letter.job,
        letter.size_bytes,
        refusal and refusal.count,
        letter.state,
        refusal and refusal.detail,
    )


def _fields(found: "FoundLetter", *, with_value: bool) -> Iterable[tuple[str, object]]:
    letter, record = found
    yield "record", letter.record
    yield "time", letter_time(letter.timestamp_ms)
    if letter.refusal is None:
        yield "reason", "none: the tracker has not written this record"
    else:
        yield "reason", letter.refusal.reason
        yield "detail", letter.refusal.detail
        yield "job", letter.job
        yield "refused", f"{letter.refusal.count:,} times" if letter.refusal.count != 1 else "once"
        yield "source", _source(letter)
        yield "state", letter.state
    yield "bytes", letter.size_bytes
    yield "key", _escaped(record.key)
    for name, value in record.headers:
        yield "header", f"{_escaped(name.encode())}={_escaped(value)}"
    if with_value:
        yield "value", _escaped(record.value)


def _as_json(found: "FoundLetter", *, with_value: bool) -> dict[str, Any]:
    letter, record = found
    headers = [{"name": name} | _bytes_as_json("value", value) for name, value in record.headers]
    shown = letter.as_json() | _bytes_as_json("key", record.key) | {"headers": headers}
    return shown | (_bytes_as_json("value", record.value) if with_value else {})


def _bytes_as_json(name: str, value: bytes | None) -> dict[str, Any]:
    """Return bytes as text, or in base64, under another name, if they are not UTF-8."""
    if value is None:
        return {name: None}
    try:
        return {name: value.decode()}
    except UnicodeDecodeError:
        return {f"{name}Base64": value}


def _source(letter: "DeadLetter") -> str:
    source = letter.refusal.source if letter.refusal is not None else None
    return "" if source is None else f"{source.topic}:{source.partition}:{source.offset}"


def _escaped(value: bytes | None) -> str:
    """Return bytes as text without anything that a terminal would act on."""
    text = "" if value is None else value.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
