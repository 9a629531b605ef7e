"""Writes log lines to stderr, without waiting for a reader that does not read."""

import os
import select
import threading
from typing import TextIO

_PATIENCE_MS = 200
_PIECE_BYTES = select.PIPE_BUF  # a pipe that can be written to has room for so many


class LogStream:
    """Writes to the file descriptor of `stream`. For several threads at once.

    The reader of a pipe, a socket or a terminal may stop reading: a collector of logs that hangs, a terminal
    that is paused. A write then waits for as long as that lasts, and with it everything that logs. Here lines
    are left out instead, after a moment in which a slow reader can catch up.

    Other processes write to the same pipe, and one may fill it after this has looked: that write waits. To
    make the pipe non-blocking would change it for those processes too, and for the shell. To open it once
    more is not allowed in a container whose user is not root.
    """

    def __init__(self, stream: TextIO) -> None:
        self._fd = stream.fileno()
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLOUT)
        # Again by the same thread, where an object's end that goes wrong is logged in the middle of a line.
        self._lock = threading.RLock()
        self._left_out = 0  # lines, one of them perhaps in its middle
        self._in_a_line = False

    def write(self, line: str) -> int:
        """Write a line, or leave it out; return how many were left out before one that was written.

        :raises OSError: the reader has gone.
        """
        data = line.encode("utf-8", "backslashreplace")
        with self._lock:
            if not self._is_read():
                self._left_out += 1
                return 0
            left_out, self._left_out = self._left_out, 0
            self._write(b"\n" * self._in_a_line + data)
            return left_out

    def _write(self, data: bytes) -> None:
        self._in_a_line = False
        for start in range(0, len(data), _PIECE_BYTES):
            if start and not self._is_read():
                self._left_out, self._in_a_line = 1, True
                return
            os.write(self._fd, data[start : start + _PIECE_BYTES])

    def _is_read(self) -> bool:
        """Tell whether something can be written; without patience, where something was left out before."""
        return bool(self._poll.poll(0 if self._left_out else _PATIENCE_MS))
