"""`tracker dead-letters`: list refused records, and show one."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tracker.cli.database import checked
from tracker.cli.output import Json, counted, print_fields, print_json, print_rows, time_text
from tracker.errors import InvalidQuery

if TYPE_CHECKING:
    from tracker.dead_letters import DeadLetter, FoundLetter, LetterFilter, LetterReader, LetterScan

app = typer.Typer(help="List dead letters, and show one.", no_args_is_help=True)

_DEFAULT_LIMIT = 100
_HOUR_MS = 3_600_000


def _read_reason(text: str) -> object:
    from tracker.dead_letters import read_reason

    return read_reason(text)


def _read_time(text: str) -> object:
    from tracker.dead_letters import read_time

    return read_time(text)


def _read_record(text: str) -> object:
    from tracker.dead_letters import read_record

    return read_record(text)


def _read_job(text: str) -> object:
    from tracker.identifiers import parse_job_name

    return parse_job_name(text)


Reasons = Annotated[
    list[str] | None,
    typer.Option(
        "--reason",
        metavar="REASON",
        help="Refused for this reason; several: any of them.",
        callback=checked(_read_reason),
    ),
]
Sources = Annotated[
    list[str] | None,
    typer.Option("--source", metavar="TOPIC", help="Read from this topic; several: any of them."),
]
Job = Annotated[
    str | None, typer.Option(metavar="JOB", help="That name this job.", callback=checked(_read_job))
]
Since = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Of this time or later: ISO 8601, or ms since 1970.",
        callback=checked(_read_time),
    ),
]
Until = Annotated[
    str | None, typer.Option(metavar="TIME", help="Of before this time.", callback=checked(_read_time))
]
Limit = Annotated[int | None, typer.Option(min=0, metavar="N", help="How many at most, else 100; 0: all.")]
Summary = Annotated[bool, typer.Option("--summary", help="Count them by hour and reason instead.")]
AnyState = Annotated[bool, typer.Option("--all", help="Also those that were replayed or dropped.")]
ScanLimit = Annotated[
    int, typer.Option(min=1, metavar="N", help="How many records to look at, at most: the newest.")
]


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
    wanted = _read_filter(reason, source, job, since, until, any_state=any_state)
    with closing(_open()) as reader:
        scan = reader.scan(wanted, scan_limit)
        if summary:
            found = _print_summary(scan, json=json)
        else:
            found = _print_letters(scan, _DEFAULT_LIMIT if limit is None else limit, json=json)
        if not found:
            _require_topics(reader, source or ())
        _print_how_far(scan, has_since=since is not None)


@app.command()
def show(
    record: Annotated[
        str,
        typer.Argument(
            metavar="RECORD", help="TOPIC:PARTITION:OFFSET, as in the list.", callback=checked(_read_record)
        ),
    ],
    value: Annotated[bool, typer.Option("--value", help="Also the value.")] = False,
    json: Json = False,
) -> None:
    """Show a dead letter with its headers. Control characters are escaped."""
    from tracker.dead_letters import read_record

    name = read_record(record)
    with closing(_open()) as reader:
        try:
            found = reader.find(name)
        except InvalidQuery as error:
            raise typer.BadParameter(str(error), param_hint="RECORD") from None
    if json:
        print_json([_as_json(found, with_value=value)])
    else:
        print_fields(_fields(found, with_value=value))


def _open() -> "LetterReader":
    from tracker.dead_letters import LetterReader
    from tracker.settings import load

    return LetterReader(load(need={"kafka"}))


def _read_filter(
    reasons: Iterable[str] | None,
    sources: Iterable[str] | None,
    job: str | None,
    since: str | None,
    until: str | None,
    *,
    any_state: bool,
) -> "LetterFilter":
    from tracker.dead_letters import LetterFilter, read_time
    from tracker.identifiers import parse_job_name

    return LetterFilter(
        frozenset(reasons or ()),
        frozenset(sources or ()),
        None if job is None else parse_job_name(job),
        None if since is None else read_time(since),
        None if until is None else read_time(until),
        any_state,
    )


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
        print_rows(("HOUR", "REASON", "COUNT"), ((_time(hour), *rest) for hour, *rest in rows))
    return counts.total()


def _require_topics(reader: "LetterReader", sources: Iterable[str]) -> None:
    """Refuse a topic that does not exist, unless dead letters came from it: it may have been removed."""
    for topic in sources:
        if not reader.has_topic(topic):
            raise typer.BadParameter(
                f"there is no topic {topic!r}, and no dead letter from it was found", param_hint="--source"
            )


def _print_how_far(scan: "LetterScan", *, has_since: bool) -> None:
    """Say on stderr how far the scan has looked."""
    back_to = "" if scan.oldest_ms is None else f", back to {_time(scan.oldest_ms)}"
    if not scan.is_complete:
        rest = f"{back_to}; there may be more: see --limit and --scan-limit"
    elif has_since:
        rest = ", all since then"
    else:
        rest = ", all that there are"
    foreign = f" ({scan.foreign:,} of them not of the tracker)" if scan.foreign else ""
    print(f"Looked at {counted(scan.looked_at, 'record')}{foreign}{rest}.", file=sys.stderr)


def _row(letter: "DeadLetter") -> tuple[object, ...]:
    refusal = letter.refusal
    return (
        letter.record,
        _time(letter.timestamp_ms),
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
    yield "time", _time(letter.timestamp_ms)
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


def _time(time_ms: int | None) -> str:
    """Return a time as text; a producer may have set one that no calendar has."""
    if time_ms is None:
        return ""
    try:
        return time_text(time_ms)
    except (ValueError, OverflowError, OSError):
        return str(time_ms)
