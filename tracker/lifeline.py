"""What ties a child process to its supervisor, seen from the child.

A pipe runs between the two. Down it comes at most one message, which asks the child to stop; up it go the
child's state and its metrics, about once a second. The pipe's end tells the child that the supervisor has
died, by whatever cause, since the kernel closes it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from multiprocessing.connection import Connection

from tracker.metrics import Recorder, Snapshot
from tracker.obstacles import Obstacle

REPORT_INTERVAL_S = 1.0

ORPHAN_LIMIT_S = 4
"""How long a child may go on to finish its batch once its supervisor has died. The promise is 5 s; the rest
is for noticing."""


class ExitStatus(IntEnum):
    """What a child's exit status tells its supervisor."""

    DONE = 0  # asked to stop, and stopped
    FAILED = 1  # something went wrong that a fresh start may mend
    REFUSED = 2  # it cannot work like this, and has logged one sentence about it: a restart is no help
    SLOT_SHARED = 3  # fenced again and again: another process uses the same slot


@dataclass(frozen=True, slots=True)
class ChildStatus:
    """How a child is doing.

    `ready`: it has done what it needs to begin; for a worker, joined the group and reached the database.

    `has_work`: there is something that only this process can move on. False while it is idle, and while it
    waits for a broker or a database that is away: to kill it then would only add a rebalance to the trouble.

    `obstacles`: what it waits for, or would have to if it had work now.

    `kafka_partitions`: of how many it reads the records.

    `stalled_since_monotonic_s`: since when there has been work, and none was finished; None: there is none.

    `last_progress_monotonic_s`: ``time.monotonic()`` when it last finished something. Processes of one
    machine share this clock.

    `detail`: what it is doing or waiting for, in a few words, for people; shown by ``/readyz``.

    `hangs`: the call that does not return although its own time limit has long passed; empty: none does. Only
    the end of the process ends such a call.
    """

    ready: bool
    has_work: bool
    last_progress_monotonic_s: float
    detail: str = ""
    hangs: str = ""
    obstacles: tuple[Obstacle, ...] = ()
    kafka_partitions: int = 0
    stalled_since_monotonic_s: float | None = None

    @property
    def blocked(self) -> bool:
        """Whether nothing of it can move."""
        return any(obstacle.blocks for obstacle in self.obstacles)


@dataclass(frozen=True, slots=True)
class ChildReport:
    """What goes up the pipe."""

    status: ChildStatus
    metrics: Snapshot


class Lifeline:
    """A child's end of the pipe.

    `stopping` is set when the child is to finish what it has begun and return, because it was asked to or
    because its supervisor has died. In the second case the process is killed `ORPHAN_LIMIT_S` later if it is
    still there.

    `recorder` is the process's one recorder of metrics.
    """

    def __init__(
        self, connection: Connection | None, *, report_interval_s: float = REPORT_INTERVAL_S
    ) -> None:
        self.stopping = threading.Event()
        self.recorder = Recorder()
        self._connection = connection
        self._report_interval_s = report_interval_s
        self._closing = threading.Event()
        self._reporter: threading.Thread | None = None
        if connection is not None:
            threading.Thread(target=self._listen, args=[connection], name="lifeline-in", daemon=True).start()

    @classmethod
    def alone(cls) -> Lifeline:
        """Return one without a supervisor: only the caller sets `stopping`, and reports go nowhere."""
        return cls(None)

    def report(self, status: Callable[[], ChildStatus]) -> None:
        """Report to the supervisor from now on; call once, early, also when not ready yet.

        `status` is called on a thread of the lifeline's own and must return at once. A child that does not
        report counts as stuck after a while.
        """
        if self._reporter is not None:
            raise RuntimeError("this lifeline reports already")
        if self._connection is None:
            return
        self._reporter = threading.Thread(
            target=self._send_reports, args=[self._connection, status], name="lifeline-out", daemon=True
        )
        self._reporter.start()

    def close(self) -> None:
        """Send a last report, so that no count is lost. Never raises, and blocks for a second at most."""
        self._closing.set()
        if self._reporter is not None:
            # The supervisor may be frozen and the pipe full: then the last counts are not worth the wait.
            self._reporter.join(timeout=1)

    def _listen(self, connection: Connection) -> None:
        try:
            connection.recv_bytes()
            self.stopping.set()
            connection.recv_bytes()
        except (EOFError, OSError):
            # The kernel's alarm ends the process even when no Python thread can run any more.
            signal.alarm(ORPHAN_LIMIT_S)
            self.stopping.set()

    def _send_reports(self, connection: Connection, status: Callable[[], ChildStatus]) -> None:
        last = False
        while True:
            try:
                connection.send(ChildReport(status(), self.recorder.snapshot()))
            except OSError:
                return  # the supervisor is gone, which _listen deals with
            if last:
                return
            last = self._closing.wait(self._report_interval_s)
