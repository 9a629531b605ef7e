"""How far a run has come: a bar on a terminal, a line for each step elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar


class Progress:
    """Says what is being measured. `steps` are the measurements of the whole run."""

    def __init__(self, steps: int = 0) -> None:
        self._console = Console(stderr=True)
        self._steps = max(1, steps)
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            columns = (BarColumn(20), TimeElapsedColumn(), TextColumn("{task.description}"))
            self._bar = Bar(*columns, console=self._console, transient=True)
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
        """Say what is going on now."""
        if self._bar is None:
            print(text, file=sys.stderr, flush=True)
        else:
            self._bar.update(self._task, description=text)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Measure once."""
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
