"""The options that say which jobs are meant, and what reads them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.database import checked

if TYPE_CHECKING:
    from tracker.job_filter import JobFilter
    from tracker.jobs.filter import Page, Sort


def read_filter(
    partition: str | None,
    prefix: str | None,
    status: Iterable[str] | None,
    label: Iterable[str] | None,
    rsql: str | None = None,
) -> "JobFilter":
    """Return the filter that the options describe.

    :raises InvalidQuery: a status does not exist, no job can have a text, or RSQL is malformed.
    :raises BadIdentifier: the partition ID is malformed.
    """
    from tracker.jobs import filter_text

    return filter_text.read_filter(partition, prefix, status or (), label or (), rsql)


def read_sort(text: str) -> "Sort":
    """Return the order that ``--sort`` names.

    :raises InvalidQuery: there is none with this name.
    """
    from tracker.jobs import filter_text

    return filter_text.read_sort(text)


def read_page(limit: int, sort: "Sort", after: str | None) -> "Page":
    """Return the page that ``--limit`` and ``--after`` describe: 0 is the whole list.

    :raises typer.BadParameter: the cursor is none, or one of another sort.
    """
    from tracker.errors import TrackerError
    from tracker.jobs.cursor import read_cursor
    from tracker.jobs.filter import Page

    try:
        return Page(limit or None, None if after is None else read_cursor(after, sort))
    except TrackerError as error:
        raise typer.BadParameter(str(error)) from None


def _read_partition(text: str) -> object:
    return read_filter(text, None, None, None)


def _read_status(text: str) -> object:
    return read_filter(None, None, [text], None)


def _read_prefix(text: str) -> object:
    return read_filter(None, text, None, None)


def _read_label(text: str) -> object:
    return read_filter(None, None, None, [text])


def _read_rsql(text: str) -> object:
    return read_filter(None, None, None, None, text)


Partition = Annotated[
    str | None, typer.Option(metavar="ID", help="Of this partition ID.", callback=checked(_read_partition))
]
Prefix = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Whose job ID begins with this.", callback=checked(_read_prefix)),
]
Status = Annotated[
    list[str] | None,
    typer.Option(
        metavar="STATUS", help="With this status; several: any of them.", callback=checked(_read_status)
    ),
]
Label = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY[=VALUE]", help="With this label; several: all of them.", callback=checked(_read_label)
    ),
]
Rsql = Annotated[
    str | None,
    typer.Option(
        "--filter",
        metavar="RSQL",
        help="That match this too, such as 'status==Failed;labels.owner=in=(ann,bob)'.",
        callback=checked(_read_rsql),
    ),
]
Limit = Annotated[int, typer.Option(min=0, metavar="N", help="How many at most; 0: all.")]
SortBy = Annotated[
    str,
    typer.Option(
        "--sort",
        metavar="FIELD",
        help="createTime, lastUpdateTime or id; - before it for descending.",
        callback=checked(read_sort),
    ),
]
After = Annotated[
    str | None,
    typer.Option(metavar="CURSOR", help="Those after a page: its next, with the same sort."),
]
Paged = Annotated[
    bool, typer.Option("--paged", help='Print a last line {"next": CURSOR}; null: there are no more.')
]
