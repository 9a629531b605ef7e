"""What commands share that change many things at once: the question before, and Ctrl-C on the way."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def is_terminal() -> bool:
    """Return whether somebody can answer a question."""
    return sys.stdin.isatty()


def is_confirmed(question: str) -> bool:
    """Ask on stderr, because stdout is for the answer of the command."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Give what says whether Ctrl-C was pressed. Pressed once more, it ends the command at once."""
    presses = 0

    def press(*_: object) -> None:
        nonlocal presses
        presses += 1
        if presses > 1:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: presses > 0
    finally:
        signal.signal(signal.SIGINT, before)


def were(count: int) -> str:
    """Return ``was`` or ``were``."""
    return "was" if count == 1 else "were"
