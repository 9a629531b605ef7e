"""What is shown: bars that move on a terminal, plain lines elsewhere."""

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
_BAR_WIDTH = 32


class Screen(Protocol):
    """Where the demo is shown."""

    def say(self, text: str) -> None:
        """Show a sentence."""

    def watching(self, jobs: Sequence[DemoJob]) -> AbstractContextManager[object]:
        """Return what `show` is to be called within."""

    def show(self, found: Mapping[str, Job], speed: Speed) -> None:
        """Show how far the jobs are."""

    def finish(self, rows: Sequence[Row], checks: Sequence[Check]) -> None:
        """Show what became of them."""


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

    def watching(self, jobs: Sequence[DemoJob]) -> AbstractContextManager[object]:
        """Show bars until the context ends; they go then, and make room for the table."""
        self._jobs = jobs
        self._submitted_s = time.monotonic()
        self._live = Live(console=self._console, refresh_per_second=8, transient=True)
        return self._live

    def show(self, found: Mapping[str, Job], speed: Speed) -> None:
        """Move the bars."""
        table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
        for column in ("JOB", "", "%", "PAGES", "STATUS"):
            table.add_column(
                column, justify="right" if column in "%PAGES" and column else "left", no_wrap=True
            )
        for job in self._jobs:
            seen = found[job.id]
            style = _STYLES[seen.status]
            bar = ProgressBar(
                total=100,
                completed=seen.percentage_complete,
                width=_BAR_WIDTH,
                complete_style=style,
                finished_style=style,
            )
            status = Text(self._status(job, seen), style=style)
            table.add_row(job.id, bar, f"{seen.percentage_complete:.1f}", f"{job.pages:,}", status)
        rate = Text.assemble(
            "\n", (f"{speed.messages:,}", "bold"), " messages, ", (f"{speed.now:,.0f}", "bold"), " a second"
        )
        if self._live is not None:
            self._live.update(Group("", table, rate))

    def finish(self, rows: Sequence[Row], checks: Sequence[Check]) -> None:
        """Print the table, and the checks."""
        table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
        for name in _COLUMNS:
            numbers = name in ("%", "ARRIVED", "PAGES", "ENDED AFTER")
            table.add_column(name, justify="right" if numbers else "left", overflow="fold", no_wrap=numbers)
        for row in rows:
            cells = [Text(cell) for cell in _cells(row)]
            cells[_COLUMNS.index("STATUS")].stylize(_STYLES[row.status])
            table.add_row(*cells)
        self._console.print("", table, "")
        for check in checks:
            mark = ("right", "green") if check.right else ("WRONG", "bold red")
            self._console.print(Text.assemble(mark, "  ", check.text))

    def _status(self, job: DemoJob, seen: Job) -> str:
        if seen.status is not JobStatus.WAITING:
            return seen.status
        if seen.prerequisite_job_ids:
            return f"waits for {', '.join(seen.prerequisite_job_ids)}"
        left_s = self._submitted_s + job.delay_s - time.monotonic()
        return f"starts in {left_s:.0f} s" if left_s >= 0.5 else "starting"


class Lines:
    """Plain lines: one for each change of a status, and one every few seconds."""

    _INTERVAL_S = 2.0

    def __init__(self) -> None:
        self._known: dict[str, JobStatus] = {}
        self._next_s = 0.0

    def say(self, text: str) -> None:
        """Print a sentence."""
        print(text, flush=True)

    def watching(self, jobs: Sequence[DemoJob]) -> AbstractContextManager[object]:
        """Begin: all jobs wait."""
        self._known = {job.id: JobStatus.WAITING for job in jobs}
        self._next_s = time.monotonic() + self._INTERVAL_S
        return nullcontext()

    def show(self, found: Mapping[str, Job], speed: Speed) -> None:
        """Print what has changed."""
        for job_id, status in self._known.items():
            now = found[job_id].status
            if now is not status:
                self._known[job_id] = now
                self.say(f"{job_id}: {now}, {found[job_id].percentage_complete:.1f} %")
        if time.monotonic() >= self._next_s:
            self._next_s += self._INTERVAL_S
            ended = sum(status.ended for status in self._known.values())
            self.say(
                f"{ended} of {len(self._known)} jobs have ended; {speed.messages:,} messages,"
                f" {speed.now:,.0f} a second"
            )

    def finish(self, rows: Sequence[Row], checks: Sequence[Check]) -> None:
        """Print the table, aligned, and the checks."""
        lines = [_COLUMNS, *map(_cells, rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        self.say("")
        for line in lines:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            self.say("  ".join(cells).rstrip())
        self.say("")
        for check in checks:
            self.say(f"{'right' if check.right else 'WRONG'}  {check.text}")


def open_screen() -> Screen:
    """Return the screen that suits where stdout goes."""
    console = Console()
    return Terminal(console) if console.is_terminal else Lines()


_COLUMNS = ("JOB", "SHOWS", "AFTER", "STATUS", "%", "PAGES", "ARRIVED", "ENDED AFTER", "FAILURE")


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.id,
        row.shows,
        row.after,
        str(row.status),
        f"{row.percentage:.2f}",
        f"{row.pages:,}",
        f"{row.arrived:,}",
        f"{row.ended_after_s:.1f} s",
        row.failure,
    )
