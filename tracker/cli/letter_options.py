"""The options that say which dead letters are meant, and what reads them."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.database import checked
from tracker.cli.output import counted, time_text

if TYPE_CHECKING:
    from tracker.dead_letters import LetterFilter, LetterReader, LetterScan


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
ScanLimit = Annotated[
    int, typer.Option(min=1, metavar="N", help="How many records to look at, at most: the newest.")
]
Record = Annotated[
    str,
    typer.Argument(
        metavar="RECORD", help="TOPIC:PARTITION:OFFSET, as in the list.", callback=checked(_read_record)
    ),
]
Records = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RECORD",
        help="Each TOPIC:PARTITION:OFFSET, as in the list.",
        callback=checked(_read_record),
    ),
]


def open_reader() -> "LetterReader":
    """Return a reader of the dead-letter topic that the environment names."""
    from tracker.dead_letters import LetterReader
    from tracker.settings import load

    return LetterReader(load(need={"kafka"}))


def read_filter(
    reasons: Iterable[str] | None,
    sources: Iterable[str] | None,
    job: str | None,
    since: str | None,
    until: str | None,
    *,
    any_state: bool = False,
) -> "LetterFilter":
    """Return the filter that the options describe."""
    from tracker.dead_letters import LetterFilter, read_time
    from tracker.identifiers import parse_job_name

    return LetterFilter(
        frozenset(reasons or ()),
        frozenset(sources or ()),
        frozenset() if job is None else frozenset({parse_job_name(job)}),
        None if since is None else read_time(since),
        None if until is None else read_time(until),
        any_state,
    )


def require_topics(reader: "LetterReader", sources: Iterable[str]) -> None:
    """Refuse a topic that does not exist, unless dead letters came from it: it may have been removed."""
    for topic in sources:
        if not reader.has_topic(topic):
            raise typer.BadParameter(
                f"there is no topic {topic!r}, and no dead letter from it was found", param_hint="--source"
            )


def print_how_far(scan: "LetterScan", *, has_since: bool) -> None:
    """Say on stderr how far the scan has looked."""
    back_to = "" if scan.oldest_ms is None else f", back to {letter_time(scan.oldest_ms)}"
    if not scan.is_complete:
        rest = f"{back_to}; there may be more: see --limit and --scan-limit"
    elif has_since:
        rest = ", all since then"
    else:
        rest = ", all that there are"
    foreign = f" ({scan.foreign:,} of them not of the tracker)" if scan.foreign else ""
    print(f"Looked at {counted(scan.looked_at, 'record')}{foreign}{rest}.", file=sys.stderr)


def letter_time(time_ms: int | None) -> str:
    """Return a time as text; a producer may have set one that no calendar has."""
    if time_ms is None:
        return ""
    try:
        return time_text(time_ms)
    except (ValueError, OverflowError, OSError):
        return str(time_ms)
