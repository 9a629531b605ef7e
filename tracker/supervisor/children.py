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
    """What a child runs.

    `name` is unique among the children, and is shown in the log and in metrics. `target`,
    ``module:function``, is called as ``function(*args, lifeline)`` in the new process, and returns its exit
    status. `is_worker`: the metrics count it as a worker. `slot`: that of a worker which has one.
    """

    name: str
    target: str
    args: tuple[Any, ...] = ()
    is_worker: bool = False
    slot: int | None = None


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When the supervisor restarts or kills a child.

    A child that died is started again after `backoff_s`, then after twice that time, up to `backoff_limit_s`.
    A random part of up to a half is subtracted, so that children that died together do not start together.
    After the child has been ready for `healthy_after_s`, the times begin again at `backoff_s`.

    A child is stuck, and is killed, if it has work and has finished nothing for `stuck_after_s`, if it has
    not reported for that time, or if it reports that one of its calls hangs. The slowest step of a worker is
    a statement, which PostgreSQL ends after 300 s.

    `failing_after_s`: how long a child may die repeatedly before ``/livez`` reports a problem.
    """

    backoff_s: float = 0.5
    backoff_limit_s: float = 30.0
    healthy_after_s: float = 60.0
    stuck_after_s: float = 360.0
    failing_after_s: float = 120.0

    def delay_s(self, failures: int) -> float:
        """Return how long to wait before the next start, after this number of failures in a row."""
        longest = min(self.backoff_s * 2.0 ** min(failures - 1, 30), self.backoff_limit_s)
        return longest * random.uniform(0.5, 1.0)


class Child:
    """One child, which is one process at a time: a new one after each restart.

    Only the supervisor's loop calls methods that change it. Times are ``time.monotonic()``. `wake` is called
    on another thread when the child has reported.
    """

    def __init__(
        self,
        spec: ChildSpec,
        totals: Totals,
        restart_policy: RestartPolicy,
        log: logs.LogOptions,
        wake: Callable[[], None],
    ) -> None:
        self.spec = spec
        self.process: SpawnProcess | None = None
        self.status: ChildStatus | None = None
        self.last_detail = ""  # the detail that the previous process reported last
        self.failures = 0
        self.failing_since_s: float | None = None
        self.start_at_s: float | None = None
        self._totals = totals
        self._restart_policy = restart_policy
        self._log = log
        self._wake = wake
        self._connection: Connection | None = None
        self._reader: threading.Thread | None = None
        self._reported_s = 0.0
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
    def can_work(self) -> bool:
        """Whether the process has reported that it is ready, and that nothing blocks it."""
        status = self.status
        return status is not None and status.ready and not status.blocked

    def start(self) -> None:
        """Start a process; there must be none.

        :raises OSError: the system allows no more processes or files at the moment.
        """
        ours, theirs = _SPAWN.Pipe(duplex=True)
        process = _SPAWN.Process(
            target=child_main.main,
            args=(self.spec.name, self.spec.target, self.spec.args, theirs, self._log),
            name=self.spec.name,
            daemon=True,
        )
        try:
            with _signals_blocked():
                process.start()
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()  # only the process has it now, so its death closes it
        self.process, self._connection = process, ours
        self.status = self.start_at_s = self._ready_since_s = None
        self._reported_s = self._work_since_s = time.monotonic()
        self._reader = threading.Thread(target=self._read, args=[ours], name=self.spec.name, daemon=True)
        self._reader.start()

    def ask_to_stop(self) -> None:
        """Ask the process to finish its work and exit."""
        if self._connection is not None:
            with suppress(OSError):  # it has ended already, which the loop will see
                self._connection.send_bytes(b"stop")

    def kill(self) -> None:
        """Kill the process, if there is one."""
        if self.process is not None:
            self.process.kill()

    def reap(self) -> int:
        """Clean up after a process that has ended; return its exit status, negative for a signal."""
        assert self.process is not None
        assert self._connection is not None
        assert self._reader is not None
        self.process.join()
        self._reader.join()  # it ends when it has read the last report, because the process's end is closed
        self.last_detail = self.status.detail if self.status is not None else ""
        self._connection.close()
        self._totals.retire(self.spec.name)
        status = self.process.exitcode
        assert status is not None
        self.process.close()
        self.process = self._connection = self._reader = self.status = None
        return status

    def schedule_start(self, now_s: float) -> float:
        """Schedule the next start after a failure; return in how many seconds it is."""
        self.failures += 1
        if self.failing_since_s is None:
            self.failing_since_s = now_s
        delay_s = self._restart_policy.delay_s(self.failures)
        self.start_at_s = now_s + delay_s
        return delay_s

    def reset_failures(self, now_s: float) -> None:
        """Set the failures to 0 if the process has been ready for long enough."""
        since_s = self._ready_since_s
        if since_s is not None and now_s - since_s >= self._restart_policy.healthy_after_s:
            self.failures = 0
            self.failing_since_s = None

    def stalled_s(self, now_s: float) -> float:
        """Return for how long the child has finished no work, or has not reported; 0 while it is idle."""
        if self.process is None:
            return 0.0
        silent_s = now_s - self._reported_s
        status = self.status
        if status is None or not status.has_work:
            # A process that has never reported may be stuck in its start, and `_reported_s` is when that was.
            return silent_s if silent_s >= self._restart_policy.stuck_after_s else 0.0
        return now_s - max(self._work_since_s, status.last_progress_monotonic_s)

    def is_stuck(self, now_s: float) -> bool:
        """Return whether the process must be killed, because it makes no progress."""
        return bool(self.hangs) or self.stalled_s(now_s) >= self._restart_policy.stuck_after_s

    @property
    def hangs(self) -> str:
        """The call in which the process hangs, and from which it will never return; empty: none."""
        return self.status.hangs if self.status is not None else ""

    def is_failing(self, now_s: float) -> bool:
        """Return whether the child has been dying repeatedly for too long."""
        since_s = self.failing_since_s
        return since_s is not None and now_s - since_s >= self._restart_policy.failing_after_s

    def _read(self, connection: Connection) -> None:
        """Receive the child's reports. A child that freezes within a report blocks only this thread."""
        while True:
            try:
                report: ChildReport = connection.recv()
            except (EOFError, OSError):
                self._wake()
                return
            self._handle(report)
            self._wake()

    def _handle(self, report: ChildReport) -> None:
        now_s = time.monotonic()
        had_work = self.status is not None and self.status.has_work
        if report.status.has_work and not had_work:
            # The progress that it made before it was idle says nothing about its present work.
            self._work_since_s = now_s
        if not report.status.ready:
            self._ready_since_s = None
        elif self._ready_since_s is None:
            self._ready_since_s = now_s
        self._reported_s = now_s
        self.status = report.status
        self._totals.update(self.spec.name, report.metrics)


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Block signals while a process starts, until it can handle them. This process loses none."""
    blocked = {signal.SIGINT, signal.SIGHUP, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
