"""The options that say which jobs are meant, and what reads them."""

import shlex
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from tracker.cli.database import checked

if TYPE_CHECKING:
    from tracker.job_filter import JobFilter
    from tracker.jobs.filter import Page, Sort


class FilterOptions(NamedTuple):
    """The options that say which jobs are meant."""

    partition: str | None = None
    prefix: str | None = None
    status: list[str] | None = None
    label: list[str] | None = None
    rsql: str | None = None
    waiting_for: str | None = None
    transitive: bool = False

    def read(self) -> "JobFilter":
        """Return the filter that the options describe.

        :raises typer.BadParameter: ``--transitive`` is given by itself.
        :raises InvalidQuery: a status does not exist, no job can have a text, or RSQL is malformed.
        :raises BadIdentifier: the partition ID, or the name of a job, is malformed.
        """
        from tracker.jobs import filter_text

        if self.transitive and self.waiting_for is None:
            raise typer.BadParameter("--transitive is for --waiting-for")
        return filter_text.read_filter(
            self.partition,
            self.prefix,
            self.status or (),
            self.label or (),
            self.rsql,
            self.waiting_for,
            transitive=self.transitive,
        )

    @property
    def given(self) -> bool:
        """Whether there are any."""
        return any(value is not None and value not in ([], False) for value in self)

    def __str__(self) -> str:
        """Return the options as they could be typed."""
        options = {
            "--partition": [self.partition],
            "--prefix": [self.prefix],
            "--status": self.status or (),
            "--label": self.label or (),
            "--filter": [self.rsql],
            "--waiting-for": [self.waiting_for],
        }
        words = [
            word
            for option, values in options.items()
            for value in values
            if value is not None
            for word in (option, value)
        ]
        return shlex.join([*words, *(["--transitive"] if self.transitive else [])])


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
    return FilterOptions(partition=text).read()


def _read_status(text: str) -> object:
    return FilterOptions(status=[text]).read()


def _read_prefix(text: str) -> object:
    return FilterOptions(prefix=text).read()


def _read_label(text: str) -> object:
    return FilterOptions(label=[text]).read()


def _read_rsql(text: str) -> object:
    return FilterOptions(rsql=text).read()


def _read_root(text: str) -> object:
    return FilterOptions(waiting_for=text).read()


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
WaitingFor = Annotated[
    str | None,
    typer.Option(
        metavar="JOB",
        help="That wait for this job: it is one of their unmet prerequisites.",
        callback=checked(_read_root),
    ),
]
Transitive = Annotated[
    bool,
    typer.Option("--transitive", help="With --waiting-for: also those that wait for these, and so on."),
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
