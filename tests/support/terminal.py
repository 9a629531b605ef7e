"""Runs ``tracker`` on a terminal of a given size, as a person does."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Sequence

from tests.support.program import ROOT
from tracker.stack.server import clean_environment

_TIMEOUT_S = 60


def run_on_terminal(
    arguments: Sequence[str],
    *,
    lines: int,
    columns: int,
    once_drawn: Callable[[], object] = lambda: None,
    **variables: str,
) -> tuple[int, list[list[str]]]:
    """Return the exit status, and the lines of each picture that was drawn at the place of the one before.

    `once_drawn` is called when a picture was drawn.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    environment = clean_environment(PYTHONPATH=str(ROOT), TERM="xterm", **variables)
    for name in ("LINES", "COLUMNS", "NO_COLOR"):
        environment.pop(name, None)
    with subprocess.Popen(
        [sys.executable, "-m", "tracker", *arguments],
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        text = _read_all(ours, once_drawn).decode()
        status = process.wait(_TIMEOUT_S)
    os.close(ours)
    return status, [_plain_lines(picture) for picture in re.split(r"(?:\r|\x1b\[2K|\x1b\[1A)*\x1b\[2K", text)]


def _read_all(terminal: int, once_drawn: Callable[[], object]) -> bytes:
    found = b""
    is_drawn = False
    while True:
        try:
            found += os.read(terminal, 65_536)
        except OSError:  # the program has gone, and nobody has the other end
            return found
        if not is_drawn and b"\x1b[2K" in found:  # what was drawn first is replaced
            is_drawn = True
            once_drawn()


def _plain_lines(picture: str) -> list[str]:
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", picture)
    return [line.rstrip() for line in text.replace("\r", "").strip("\n").split("\n")]
