"""Show the progress of a run: a bar on a terminal, elsewhere a line for each step."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


class ProgressDisplay:
    """Shows what is being measured. `steps` is the number of measurements in the run."""

    def __init__(self, steps: int = 0) -> None:
        self._console = Console(stderr=True)
        self._steps = max(1, steps)
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            columns = (BarColumn(20), TimeElapsedColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task("starting Kafka and PostgreSQL", total=self._steps)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def say(self, text: str) -> None:
        """Show what happens now."""
        if self._bar is None:
            print(text, file=sys.stderr, flush=True)
        else:
            self._bar.update(self._task, description=text)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Show a measurement, and count it when it ends."""
        self.say(text)
        yield
        if self._bar is not None:
            self._bar.advance(self._task)

    def show(self, text: str) -> None:
        """Print a result on stdout, above the bar."""
        if self._bar is None or not sys.stdout.isatty():
            print(text, flush=True)
        else:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
