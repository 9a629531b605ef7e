"""What connects a child process to its supervisor, seen from the child.

There is a pipe between the two. The supervisor sends at most one message, which asks the child to stop. The
child sends its status and its metrics, about once a second, and more often while it starts. If the supervisor
dies, for whatever cause, the kernel closes the pipe, and the child notices that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from multiprocessing.connection import Connection

from tracker.metrics import Recorder, Snapshot
from tracker.obstacles import Obstacle

REPORT_INTERVAL_S = 1.0
_STARTING_S = 0.2  # the interval until it is ready, which others may wait for


class ExitStatus(IntEnum):
    """What a child's exit status means to its supervisor."""

    DONE = 0  # it was asked to stop, and has stopped
    FAILED = 1  # a restart may help
    REFUSED = 2  # it cannot run like this, and has logged why: a restart does not help
    SLOT_SHARED = 3  # fenced repeatedly: another process uses the same slot


@dataclass(frozen=True, slots=True)
class ChildStatus:
    """The status of a child.

    `ready`: it has finished its start; a worker has joined the group and reached the database.

    `has_work`: there is work that only this process can do. False while it is idle, and while it waits for a
    broker or a database that is away: to kill it then would only add a rebalance.

    `obstacles`: what it waits for, or would wait for if it had work now.

    `kafka_partitions`: how many Kafka partitions it reads.

    `stalled_since_monotonic_s`: since when there has been work of which none was finished; None: there is
    none.

    `last_progress_monotonic_s`: ``time.monotonic()`` when it last finished something. The processes of a
    machine share this clock.

    `detail`: what it does or waits for, in a few words for people; ``/readyz`` shows it.

    `hangs`: the call that has not returned although its own time limit passed long ago; empty: none. Only the
    end of the process ends such a call.
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
        """Whether none of its work can continue."""
        return any(obstacle.blocks for obstacle in self.obstacles)


@dataclass(frozen=True, slots=True)
class ChildReport:
    """What a child sends to its supervisor."""

    status: ChildStatus
    metrics: Snapshot


class Lifeline:
    """A child's end of the pipe.

    `stopping` is set when the child must finish its work in progress and return, because it was asked to stop
    or because its supervisor has died. In the second case `on_orphaned` is called first.

    `recorder` is the only recorder of metrics in the process.
    """

    def __init__(
        self,
        connection: Connection | None,
        *,
        on_orphaned: Callable[[], object] = lambda: None,
        report_interval_s: float = REPORT_INTERVAL_S,
    ) -> None:
        self.stopping = threading.Event()
        self.recorder = Recorder()
        self._connection = connection
        self._on_orphaned = on_orphaned
        self._report_interval_s = report_interval_s
        self._closing = threading.Event()
        self._reporter: threading.Thread | None = None
        if connection is not None:
            threading.Thread(target=self._listen, args=[connection], name="lifeline-in", daemon=True).start()

    @classmethod
    def alone(cls) -> Lifeline:
        """Return a lifeline without a supervisor: only the caller sets `stopping`, and reports go nowhere."""
        return cls(None)

    def report(self, status: Callable[[], ChildStatus]) -> None:
        """Begin to report to the supervisor. Call it once, early, before the child is ready.

        `status` is called on a thread of the lifeline, and must return at once. A child that does not report
        counts as stuck after a while.
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
        """Send a last report, so that no count is lost. It never raises, and blocks for a second at most."""
        self._closing.set()
        if self._reporter is not None:
            # If the supervisor is frozen and the pipe is full, the last counts are not worth a longer wait.
            self._reporter.join(timeout=1)

    def _listen(self, connection: Connection) -> None:
        try:
            connection.recv_bytes()
            self.stopping.set()
            connection.recv_bytes()
        except (EOFError, OSError):
            self._on_orphaned()
            self.stopping.set()

    def _send_reports(self, connection: Connection, status: Callable[[], ChildStatus]) -> None:
        last = False
        while True:
            now = status()
            try:
                connection.send(ChildReport(now, self.recorder.snapshot()))
            except OSError:
                return  # the supervisor has gone; _listen handles that
            if last:
                return
            interval_s = self._report_interval_s
            last = self._closing.wait(interval_s if now.ready else min(interval_s, _STARTING_S))
