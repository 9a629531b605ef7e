"""A bar for what takes more than a second, on stderr, if that is a terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

_SHOWN_AFTER_S = 1.0


@contextmanager
def progress_bar(doing: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Give a function that takes how much is done; the bar is gone at the end. `total`: None if unknown."""
    begun = time.monotonic()
    draw: Callable[[int], None] | None = None
    with ExitStack() as stack:

        def show(done: int) -> None:
            nonlocal draw
            if draw is None and sys.stderr.isatty() and time.monotonic() - begun >= _SHOWN_AFTER_S:
                draw = stack.enter_context(_bar(doing, total))
            if draw is not None:
                draw(done)

        yield show


@contextmanager
def _bar(doing: str, total: int | None) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task(doing, total=total)
        yield lambda done: progress.update(task, completed=done)
