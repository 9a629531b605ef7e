"""Shows the demo: with moving bars on a terminal, and otherwise with plain lines."""

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tracker import Job, JobStatus
from tracker.demo.jobs import DemoJob
from tracker.demo.outcome import Check, Row
from tracker.demo.watching import Speed

_STYLES = {
    JobStatus.WAITING: "dim",
    JobStatus.ACTIVE: "cyan",
    JobStatus.PAUSED: "yellow",
    JobStatus.FAILED: "red",
    JobStatus.CANCELLED: "magenta",
    JobStatus.COMPLETED: "green",
}
_OTHER_COLUMNS = 70  # the width of the live table without the bars
_ROOM_FOR_ALL = 120  # width; a narrower table leaves out what each job shows
_COLUMNS = ("JOB", "", "STATUS", "%", "PAGES", "ARRIVED", "ENDED AT", "FAILURE")
_NUMBERS = frozenset(_COLUMNS[3:7])


class Screen(Protocol):
    """Where the demo is shown."""

    def say(self, text: str) -> None:
        """Show a sentence."""

    def working(self, text: str) -> AbstractContextManager[object]:
        """Return a context during which to show that something takes a while."""

    def watching(self, jobs: Sequence[DemoJob]) -> AbstractContextManager[object]:
        """Return the context within which to call `show`."""

    def show(self, found: Mapping[str, Job], speed: Speed) -> None:
        """Show the progress of the jobs."""

    def finish(self, rows: Sequence[Row], checks: Sequence[Check]) -> None:
        """Show the outcome."""


class Terminal:
    """Bars that move, and colours."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._jobs: Sequence[DemoJob] = ()
        self._live: Live | None = None
        self._submitted_s = 0.0

    def say(self, text: str) -> None:
        """Print a sentence, above the bars if there are any."""
        self._console.print(text, highlight=False, markup=False)

    def working(self, text: str) -> AbstractContextManager[object]:
        """Show a spinner."""
        return self._console.status(Text(text))

    def watching(self, jobs: Sequence[DemoJob]) -> AbstractContextManager[object]:
        """Show bars until the context ends; the table of `finish` replaces them."""
        self._jobs = jobs
        self._submitted_s = time.monotonic()
        self._live = Live(console=self._console, refresh_per_second=8, transient=True)
        return self._live

    def show(self, found: Mapping[str, Job], speed: Speed) -> None:
        """Update the bars."""
        if self._live is None:
            return
        table = _table()
        table.add_column("JOB", no_wrap=True)
        table.add_column("", no_wrap=True, style="dim")
        table.add_column("", no_wrap=True)
        table.add_column("%", justify="right", no_wrap=True)
        table.add_column("STATUS", no_wrap=True)
        for job in self._jobs:
            seen = found[job.id]
            style = _STYLES[seen.status]
            status = Text(self._status(job, seen), style=style)
            table.add_row(
                job.id, job.about, self._bar(seen, style), f"{seen.percentage_complete:.1f}", status
            )
        messages = Text.assemble((f"{speed.messages:,}", "bold"), " messages through the tracker, ")
        rate = Text.assemble((f"{speed.now:,.0f}", "bold"), " a second")
        self._live.update(Group("", table, "", messages + rate))

    def finish(self, rows: Sequence[Row], checks: Sequence[Check]) -> None:
        """Print the table, and the checks."""
        table = _table()
        for name in _COLUMNS:
            number = name in _NUMBERS
            table.add_column(name, justify="right" if number else "left", no_wrap=name != "FAILURE")
        roomy = self._console.width >= _ROOM_FOR_ALL
        for row in rows:
            cells = [Text(cell) for cell in _cells(row)]
            cells[1] = Text(row.about if roomy else "", style="dim")
            cells[2].stylize(_STYLES[row.status])
            table.add_row(*cells)
        marks = Table.grid(padding=(0, 2, 0, 0))
        for check in checks:
            mark = Text("ok", style="green") if check.right else Text("WRONG", style="bold red")
            marks.add_row(mark, Text(check.text))
        self._console.print("", table, "", marks)

    def _bar(self, seen: Job, style: str) -> ProgressBar:
        width = min(40, max(8, self._console.width - _OTHER_COLUMNS))
        done = seen.percentage_complete
        return ProgressBar(100, done, width, complete_style=style, finished_style=style)

    def _status(self, job: DemoJob, seen: Job) -> str:
        if seen.status is not JobStatus.WAITING:
            return seen.status
        left_s = self._submitted_s + job.delay_s - time.monotonic()
        return f"in {left_s:.0f} s" if left_s >= 0.5 else seen.status


class Lines:
    """Plain lines: one for each change of a status, and one every few seconds."""

    _INTERVAL_S = 2.0

    def __init__(self) -> None:
        self._known: dict[str, JobStatus] = {}
        self._next_s = 0.0

    def say(self, text: str) -> None:
        """Print a sentence."""
        print(text, flush=True)

    def working(self, text: str) -> AbstractContextManager[object]:
        """Print the sentence."""
        self.say(text)
        return nullcontext()

    def watching(self, jobs: Sequence[DemoJob]) -> AbstractContextManager[object]:
        """Start with all jobs Waiting."""
        self._known = {job.id: JobStatus.WAITING for job in jobs}
        self._next_s = time.monotonic() + self._INTERVAL_S
        return nullcontext()

    def show(self, found: Mapping[str, Job], speed: Speed) -> None:
        """Print the changes."""
        for job_id, status in self._known.items():
            now = found[job_id].status
            if now is not status:
                self._known[job_id] = now
                self.say(f"{job_id}: {now}, {found[job_id].percentage_complete:.1f} %")
        if time.monotonic() >= self._next_s:
            self._next_s += self._INTERVAL_S
            ended = sum(status.ended for status in self._known.values())
            done = f"{ended} of {len(self._known)} jobs have ended"
            self.say(f"{done}; {speed.messages:,} messages, {speed.now:,.0f} a second")

    def finish(self, rows: Sequence[Row], checks: Sequence[Check]) -> None:
        """Print the table, aligned, and the checks."""
        lines = [_COLUMNS, *map(_cells, rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        self.say("")
        for line in lines:
            cells = [
                cell.rjust(width) if name in _NUMBERS else cell.ljust(width)
                for name, cell, width in zip(_COLUMNS, line, widths, strict=True)
            ]
            self.say("  ".join(cells).rstrip())
        self.say("")
        for check in checks:
            self.say(f"{'ok   ' if check.right else 'WRONG'}  {check.text}")


def open_screen() -> Screen:
    """Return the screen for stdout: a terminal, or plain lines."""
    console = Console()
    return Terminal(console) if console.is_terminal else Lines()


def _table() -> Table:
    return Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.id,
        row.about,
        str(row.status),
        f"{row.percentage:.1f}",
        f"{row.pages:,}",
        f"{row.arrived:,}",
        "" if row.ended_after_s is None else f"{row.ended_after_s:.1f} s",
        row.failure,
    )
