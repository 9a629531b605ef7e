"""The bars of `tracker job watch` on a terminal: never more lines than it has."""

from collections import Counter
from collections.abc import Sequence
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tracker import JobStatus, WatchedJob
from tracker.cli.output import counted
from tracker.cli.watched_text import name_of, percentage_of, rate_of, status_of, time_left_of
from tracker.jobs.watch import Track

_STYLES = {
    None: "dim",
    JobStatus.WAITING: "dim",
    JobStatus.ACTIVE: "cyan",
    JobStatus.PAUSED: "yellow",
    JobStatus.FAILED: "red",
    JobStatus.CANCELLED: "magenta",
    JobStatus.COMPLETED: "green",
}
# If there is no room for all jobs, those with the first of these are shown.
_RANKS = {
    status: rank
    for rank, status in enumerate(
        (
            JobStatus.ACTIVE,
            JobStatus.FAILED,
            JobStatus.PAUSED,
            JobStatus.WAITING,
            None,
            JobStatus.CANCELLED,
            JobStatus.COMPLETED,
        )
    )
}
_COLUMNS = (
    ("JOB", "left"),
    ("", "left"),
    ("%", "right"),
    ("STATUS", "left"),
    ("RATE", "right"),
    ("LEFT", "left"),
)
_OTHER_COLUMNS = 52  # the width without names and bars
_LONGEST_BAR, _SHORTEST_BAR = 40, 8
_SHORTEST_NAME = 12


class Bars:
    """A bar for each job, while it is the context; the last ones stay."""

    def __init__(self, console: Console) -> None:
        self._console = console
        # Drawn once for each look, and not between: nothing moves by itself.
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def show(self, tracks: Sequence[Track]) -> None:
        """Draw the jobs as they are now."""
        self._live.update(self._picture(tracks), refresh=True)

    def _picture(self, tracks: Sequence[Track]) -> RenderableType:
        room = max(2, self._console.height - 1)  # the cursor may come to stand below
        shown = tracks if len(tracks) < room else _first(tracks, max(1, room - 2))
        table = self._table([track.shown() for track in shown])
        if len(shown) == len(tracks):
            return table
        footer = Text(_rest(tracks, len(tracks) - len(shown)), style="dim", no_wrap=True, overflow="ellipsis")
        return Group(table, footer)

    def _table(self, jobs: Sequence[WatchedJob]) -> Table:
        table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
        names = self._console.width - _OTHER_COLUMNS
        for name, justify in _COLUMNS:
            table.add_column(
                name,
                justify="right" if justify == "right" else "left",
                no_wrap=True,
                overflow="ellipsis",
                max_width=max(_SHORTEST_NAME, names - _SHORTEST_BAR) if name == "JOB" else None,
            )
        longest = max((len(name_of(job)) for job in jobs), default=0)
        width = min(_LONGEST_BAR, max(_SHORTEST_BAR, names - longest))
        for job in jobs:
            style = _STYLES[job.status]
            table.add_row(
                Text(name_of(job)),
                ProgressBar(100, job.percentage_complete, width, complete_style=style, finished_style=style),
                percentage_of(job),
                Text(status_of(job), style=style),
                rate_of(job),
                time_left_of(job),
            )
        return table


def _first(tracks: Sequence[Track], number: int) -> list[Track]:
    """Return so many of the jobs, those that move first, in the order of all."""
    ranked = sorted(range(len(tracks)), key=lambda index: _RANKS[tracks[index].status])
    return [tracks[index] for index in sorted(ranked[:number])]


def _rest(tracks: Sequence[Track], hidden: int) -> str:
    """Say how many jobs there is no room for, and how many of all are in each status."""
    numbers = Counter(track.status for track in tracks)
    by_status = [f"{numbers[status]:,} {status or 'not stored'}" for status in _RANKS if numbers[status]]
    return f"and {hidden:,} more; of {counted(len(tracks), 'job')}, {', '.join(by_status)}"
