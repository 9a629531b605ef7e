"""Shows that something takes more than a second, on stderr, if that is a terminal: a bar, or a sentence."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.status import Status

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
def working(text: str) -> Iterator[Callable[[str], None]]:
    """Show a sentence where nobody can say how much is done; give a function that shows another one."""
    if not sys.stderr.isatty():
        yield lambda _text: None
        return
    shown = _Sentence(text)
    timer = threading.Timer(_SHOWN_AFTER_S, shown.begin)
    timer.start()
    try:
        yield shown.change
    finally:
        timer.cancel()
        timer.join()
        shown.end()


class _Sentence:
    """A sentence with a spinner; the timer's thread begins to show it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._status: Status | None = None

    def begin(self) -> None:
        from rich.console import Console

        self._status = Console(file=sys.stderr).status(self._text)
        self._status.start()

    def change(self, text: str) -> None:
        self._text = text
        if self._status is not None:
            self._status.update(text)

    def end(self) -> None:
        if self._status is not None:
            self._status.stop()


@contextmanager
def _bar(doing: str, total: int | None) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task(doing, total=total)
        yield lambda done: progress.update(task, completed=done)
