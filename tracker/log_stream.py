"""Writes log lines to stderr, without waiting for a reader that does not read."""

import os
import select
import threading
from typing import TextIO

_MAX_WAIT_MS = 200
_CHUNK_BYTES = select.PIPE_BUF  # a pipe that can be written to has room for this many bytes


class LogStream:
    """Writes to the file descriptor of `stream`. Any thread may call it.

    The reader of a pipe, a socket or a terminal may stop reading: a log collector that hangs, a terminal that
    is paused. A write then waits as long as that lasts, and everything that logs waits with it. Here lines
    are left out instead, after a moment in which a slow reader can catch up.

    Other processes write to the same pipe, and one of them may fill it after the check: that write waits.
    Rejected: to make the pipe non-blocking, which would change it for those processes and the shell too; to
    open it a second time, which is not allowed in a container whose user is not root.
    """

    def __init__(self, stream: TextIO) -> None:
        self._fd = stream.fileno()
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLOUT)
        # Reentrant: an error in an object's finalizer may be logged by the same thread in the middle of a
        # line.
        self._lock = threading.RLock()
        self._left_out = 0  # lines; the first may be written in part
        self._in_a_line = False

    def write(self, line: str) -> int:
        """Write a line, or leave it out; return how many were left out before a line that is written.

        :raises OSError: the reader has gone.
        """
        data = line.encode("utf-8", "backslashreplace")
        with self._lock:
            if not self._is_writable():
                self._left_out += 1
                return 0
            left_out, self._left_out = self._left_out, 0
            self._write(b"\n" * self._in_a_line + data)
            return left_out

    def _write(self, data: bytes) -> None:
        self._in_a_line = False
        for start in range(0, len(data), _CHUNK_BYTES):
            if start and not self._is_writable():
                self._left_out, self._in_a_line = 1, True
                return
            os.write(self._fd, data[start : start + _CHUNK_BYTES])

    def _is_writable(self) -> bool:
        """Return whether something can be written. It waits a moment, unless lines were just left out."""
        return bool(self._poll.poll(0 if self._left_out else _MAX_WAIT_MS))
