"""A child process, as its supervisor sees it."""

from __future__ import annotations

import multiprocessing
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from tracker import logs
from tracker.lifeline import ChildReport, ChildStatus
from tracker.supervisor import child_main
from tracker.supervisor.totals import Totals

_SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What a child is.

    `name` is unique among the children and shown in logs and metrics. `target`, ``module:function``, is
    called as ``function(*args, lifeline)`` in the new process, and returns its exit status. `is_worker`:
    counted as a worker in the metrics.
    """

    name: str
    target: str
    args: tuple[Any, ...] = ()
    is_worker: bool = False


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """The supervisor's times.

    A child that died is started again after `backoff_s`, twice that the next time, up to `backoff_limit_s`;
    a random part of up to a half is taken off, so that children that died together do not come back together.
    Once it has been ready for `healthy_after_s`, this begins anew.

    A child is stuck, and killed, when it has work and has finished nothing for `stuck_after_s`, has not
    reported at all for that long, or says itself that a call of it hangs. The slowest thing that a worker
    does in one go is a statement, which PostgreSQL ends after 300 s.

    `live_for_s`: how long a child may keep dying before ``/livez`` says that something is wrong.
    """

    backoff_s: float = 0.5
    backoff_limit_s: float = 30.0
    healthy_after_s: float = 60.0
    stuck_after_s: float = 360.0
    live_for_s: float = 120.0

    def delay_s(self, failures: int) -> float:
        """Return how long to wait before the next start, after so many failures in a row."""
        longest = min(self.backoff_s * 2.0 ** min(failures - 1, 30), self.backoff_limit_s)
        return longest * random.uniform(0.5, 1.0)


class Child:
    """One child and, over time, the processes that it is.

    The supervisor's loop is the only one to call methods that change it. Times are ``time.monotonic()``.
    `wake` is called on another thread when the child has reported.
    """

    def __init__(
        self,
        spec: ChildSpec,
        totals: Totals,
        patience: RestartPolicy,
        log: logs.LogOptions,
        wake: Callable[[], None],
    ) -> None:
        self.spec = spec
        self.process: SpawnProcess | None = None
        self.status: ChildStatus | None = None
        self.last_detail = ""  # of the process that has ended last
        self.failures = 0
        self.failing_since_s: float | None = None
        self.start_at_s: float | None = None
        self._totals = totals
        self._patience = patience
        self._log = log
        self._wake = wake
        self._connection: Connection | None = None
        self._reader: threading.Thread | None = None
        self._heard_s = 0.0
        self._work_since_s = 0.0
        self._ready_since_s: float | None = None

    @property
    def pid(self) -> int | None:
        """The process's ID, None while there is no process."""
        return self.process.pid if self.process is not None else None

    @property
    def is_alive(self) -> bool:
        """Whether there is a process that has not ended."""
        return self.process is not None and self.process.is_alive()

    @property
    def is_free(self) -> bool:
        """Whether the process has said that it is ready, and waits for nothing."""
        status = self.status
        return status is not None and status.ready and not status.blocked

    def start(self) -> None:
        """Start a process; there must be none.

        :raises OSError: there can be no more processes or files at the moment.
        """
        here, there = _SPAWN.Pipe(duplex=True)
        process = _SPAWN.Process(
            target=child_main.main,
            args=(self.spec.name, self.spec.target, self.spec.args, there, self._log),
            name=self.spec.name,
            daemon=True,
        )
        try:
            with _signals_held():
                process.start()
        except OSError:
            here.close()
            raise
        finally:
            there.close()  # only the process has it now, so that its death closes it
        self.process, self._connection = process, here
        self.status = self.start_at_s = self._ready_since_s = None
        self._heard_s = self._work_since_s = time.monotonic()
        self._reader = threading.Thread(target=self._read, args=[here], name=self.spec.name, daemon=True)
        self._reader.start()

    def ask_to_stop(self) -> None:
        """Ask the process to finish and leave."""
        if self._connection is not None:
            with suppress(OSError):  # it is gone already, which the loop will see
                self._connection.send_bytes(b"stop")

    def kill(self) -> None:
        """Kill the process, if there is one."""
        if self.process is not None:
            self.process.kill()

    def reap(self) -> int:
        """Take leave of a process that has ended, and return its exit status; negative for a signal."""
        assert self.process is not None
        assert self._connection is not None
        assert self._reader is not None
        self.process.join()
        self._reader.join()  # its last report is counted; the dead process's end of the pipe is closed
        self.last_detail = self.status.detail if self.status is not None else ""
        self._connection.close()
        self._totals.retire(self.spec.name)
        status = self.process.exitcode
        assert status is not None
        self.process.close()
        self.process = self._connection = self._reader = self.status = None
        return status

    def start_later(self, now_s: float) -> float:
        """Plan the next start after a failure, and return in how many seconds that is."""
        self.failures += 1
        if self.failing_since_s is None:
            self.failing_since_s = now_s
        delay_s = self._patience.delay_s(self.failures)
        self.start_at_s = now_s + delay_s
        return delay_s

    def forgive(self, now_s: float) -> None:
        """Forget earlier failures once the process has been ready for long enough."""
        if self._ready_since_s is not None and now_s - self._ready_since_s >= self._patience.healthy_after_s:
            self.failures = 0
            self.failing_since_s = None

    def idle_s(self, now_s: float) -> float:
        """Return for how long the child has finished nothing although it had work, or not reported."""
        if self.process is None:
            return 0.0
        silent_s = now_s - self._heard_s
        status = self.status
        if status is None or not status.has_work:
            # A process that has yet to report may be stuck in its start; _heard_s is when it was started.
            return silent_s if silent_s >= self._patience.stuck_after_s else 0.0
        return now_s - max(self._work_since_s, status.last_progress_monotonic_s)

    def is_stuck(self, now_s: float) -> bool:
        """Tell whether the process is to be killed, since it makes no progress."""
        return bool(self.hangs) or self.idle_s(now_s) >= self._patience.stuck_after_s

    @property
    def hangs(self) -> str:
        """The call that the process hangs in, and never will return from; empty: none."""
        return self.status.hangs if self.status is not None else ""

    def is_failing(self, now_s: float) -> bool:
        """Tell whether the child has been dying again and again for too long."""
        since_s = self.failing_since_s
        return since_s is not None and now_s - since_s >= self._patience.live_for_s

    def _read(self, connection: Connection) -> None:
        """Take the child's reports. Not the loop's work: a child frozen in the middle of one blocks this."""
        while True:
            try:
                report: ChildReport = connection.recv()
            except (EOFError, OSError):
                self._wake()
                return
            self._take(report)
            self._wake()

    def _take(self, report: ChildReport) -> None:
        now_s = time.monotonic()
        had_work = self.status is not None and self.status.has_work
        if report.status.has_work and not had_work:
            # What it finished before it was idle says nothing about the work that it has now.
            self._work_since_s = now_s
        if not report.status.ready:
            self._ready_since_s = None
        elif self._ready_since_s is None:
            self._ready_since_s = now_s
        self._heard_s = now_s
        self.status = report.status
        self._totals.update(self.spec.name, report.metrics)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Start a process with these signals blocked until it is able to handle them; none is lost here."""
    held = {signal.SIGINT, signal.SIGHUP, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
