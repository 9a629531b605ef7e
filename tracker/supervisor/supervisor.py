"""The loop that starts, watches, restarts and stops the processes of ``tracker run``."""

from __future__ import annotations

import multiprocessing.resource_tracker
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from types import FrameType

import tracker
from tracker import logs, metrics
from tracker.errors import TrackerError
from tracker.lifeline import ExitStatus
from tracker.store.worker_rows import WorkerActivity
from tracker.supervisor.activities import Activities
from tracker.supervisor.children import Child, ChildSpec, RestartPolicy
from tracker.supervisor.gauges import set_gauges
from tracker.supervisor.health import Health
from tracker.supervisor.http import Endpoint
from tracker.supervisor.slots import SlotKeeper
from tracker.supervisor.totals import Totals

LOOP_INTERVAL_S = 1.0
"""How often the loop checks its children when nothing wakes it."""

KeepSlots = Callable[[Callable[[], None], Callable[[], Sequence[WorkerActivity]]], SlotKeeper]

log = logs.get_logger()


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a supervisor, besides its children. `http`: host and port, or None for no HTTP."""

    shutdown_timeout_s: float
    http: tuple[str, int] | None = None
    log: logs.LogOptions = field(default_factory=logs.LogOptions)
    restart_policy: RestartPolicy = field(default_factory=RestartPolicy)


class Supervisor:
    """Runs children until a signal asks it to stop, or until one of them reports that it cannot run.

    It is made and run in the main thread. `plan` returns the children for the claimed slots. `keep_slots`
    makes the keeper that claims them; its arguments are what the keeper calls after a change, and what it
    asks for what the workers do. Without a keeper, the children for no slots are started at once.
    """

    def __init__(
        self,
        plan: Callable[[Sequence[int]], Sequence[ChildSpec]],
        options: Options,
        keep_slots: KeepSlots | None = None,
    ) -> None:
        self._plan = plan
        self._options = options
        self._totals = Totals()
        self._health = Health()
        self._children: list[Child] = []
        self._signals: list[int] = []
        self._failure = False
        self._ready = False
        self._degraded: Set[str] = frozenset()
        self._endpoint: Endpoint | None = None
        self._wake_reader, self._wake_writer = socket.socketpair()
        activities = Activities(lambda: self._children, self._totals)
        self._keeper = keep_slots(self._wake, activities.measure) if keep_slots else None

    def run(self) -> int:
        """Start, watch and stop the children, and return the exit status.

        It is 0 if the supervisor was asked to stop and all children exited by themselves in time. Otherwise
        it is 1, and the log has the reason in one sentence. No child is left when this returns.
        """
        with self._signals_recorded():
            try:
                self._start_up()
                while not self._signals and not self._failure:
                    self._step()
            except TrackerError as error:
                self._fail(str(error))
            except Exception as error:
                log.critical("unexpected error", exc_info=error)
                self._failure = True
            return self._shut_down()

    def _start_up(self) -> None:
        log.info("supervisor started", pid=os.getpid(), version=tracker.__version__)
        # Otherwise it starts with the first child, and unblocks signals that are blocked for that child.
        multiprocessing.resource_tracker.ensure_running()
        self._totals.own.set(metrics.BUILD_INFO, 1, version=tracker.__version__)
        if self._options.http is not None:
            host, port = self._options.http
            self._endpoint = Endpoint(host, port, self._health, self._totals)
            log.info("serving HTTP", host=host, port=self._endpoint.port)
        if self._keeper is not None:
            self._keeper.start()

    def _step(self) -> None:
        """Do what is due, then sleep until something happens or a second has passed."""
        now_s = time.monotonic()
        self._health.last_loop_s = now_s
        self._check_slots()
        for child in self._children:
            self._check(child, now_s)
        self._report_readiness()
        if not self._failure:
            self._sleep(until_s=float("inf"))

    def _shut_down(self) -> int:
        deadline_s = time.monotonic() + _time_to_stop(self._options.shutdown_timeout_s)
        self._health.stopping = True
        asked_by = signal.Signals(self._signals[0]).name if self._signals else None
        log.info("stopping", signal=asked_by)
        for child in self._children:
            child.start_at_s = None
            child.ask_to_stop()
        all_well = self._wait_for_exits(deadline_s)
        if self._keeper is not None:
            self._keeper.close()  # not earlier: the slots are in use until the workers have ended
        if self._endpoint is not None:
            self._endpoint.close()
        status = 0 if all_well and not self._failure else 1
        log.info("supervisor stopped", status=status)
        return status

    def _check_slots(self) -> None:
        """Start the children when there are slots for them; stop if the slots are lost for good."""
        keeper = self._keeper
        if keeper is not None and keeper.failure is not None:
            raise TrackerError(keeper.failure)
        slots = () if keeper is None else keeper.slots
        if slots is None:
            self._health.waiting_for = keeper.waiting_for if keeper else None
            return
        self._health.waiting_for = None
        self._health.slots_waiting_for = keeper.waiting_for if keeper else None
        if not self._children:
            policy, log_options = self._options.restart_policy, self._options.log
            for spec in self._plan(slots):
                self._children.append(Child(spec, self._totals, policy, log_options, self._wake))
            self._health.children = self._children
            for child in self._children:
                self._start(child)

    def _check(self, child: Child, now_s: float) -> None:
        if child.process is None:
            if child.start_at_s is not None and child.start_at_s <= now_s:
                self._start(child)
            return
        child.reset_failures(now_s)
        stuck = child.is_stuck(now_s)
        if stuck:
            cause = {"hangs_in": child.hangs} if child.hangs else {"stalled_s": round(child.stalled_s(now_s))}
            log.error("child is stuck and is killed", **_name_and_pid(child), **cause)
            child.kill()
        if stuck or not child.is_alive:
            self._child_ended(child, now_s, stuck=stuck)

    def _child_ended(self, child: Child, now_s: float, *, stuck: bool) -> None:
        fields, name = _name_and_pid(child), child.spec.name
        status = child.reap()
        if status == ExitStatus.SLOT_SHARED:
            self._fail(
                f"{name} was fenced repeatedly: another tracker uses the same group, instance and slot"
            )
        elif status == ExitStatus.REFUSED:
            self._health.refusals[name] = child.last_detail or "refuses to continue"
            self._fail(f"{name} cannot run like this, and has logged why; it is not restarted")
        else:
            self._totals.own.add(metrics.RESTARTS, process=name, cause="stuck" if stuck else "exited")
            plan = {"restart_in_s": round(child.schedule_start(now_s), 2), "failures": child.failures}
            log.warning("child ended", **fields, **_outcome(status), **plan)

    def _start(self, child: Child) -> None:
        try:
            child.start()
        except OSError as error:
            restart_in_s = round(child.schedule_start(time.monotonic()), 2)
            log.error(
                "child cannot be started",
                **_name_and_pid(child),
                reason=str(error),
                restart_in_s=restart_in_s,
            )
        else:
            log.info("child started", **_name_and_pid(child))

    def _report_readiness(self) -> None:
        """Log when the tracker becomes ready, and when it no longer is; set the gauges."""
        health = self._health
        health.update()
        missing, degraded = health.missing(), health.degraded()
        set_gauges(self._totals.own, self._children, ready=not missing)
        if self._ready == bool(missing):
            self._ready = not missing
            log.info(
                "ready" if self._ready else "no longer ready", **({"missing": missing} if missing else {})
            )
        elif self._ready and degraded.keys() - self._degraded:
            log.warning("ready, but part of the work waits", degraded=degraded)
        elif self._ready and self._degraded and not degraded:
            log.info("ready")
        self._degraded = degraded.keys()

    def _wait_for_exits(self, deadline_s: float) -> bool:
        """Wait until all children have exited, and kill those that are late. Return whether all went well."""
        all_well = True
        while running := [child for child in self._children if child.process is not None]:
            self._sleep(until_s=deadline_s)
            self._health.last_loop_s = time.monotonic()
            out_of_time = self._health.last_loop_s >= deadline_s or self._signals.count(signal.SIGINT) > 1
            for child in running:
                if out_of_time:
                    log.error("child did not stop in time and is killed", **_name_and_pid(child))
                    child.kill()
            for child in running:
                if out_of_time or not child.is_alive:
                    fields, status = _name_and_pid(child), child.reap()
                    all_well = all_well and status == 0
                    log.info("child stopped", **fields, **_outcome(status))
        return all_well

    def _fail(self, sentence: str) -> None:
        log.error(sentence)
        self._failure = True

    def _sleep(self, until_s: float) -> None:
        """Wait until a child ends, something wakes the loop, something is due, or a second has passed."""
        now_s = time.monotonic()
        due = [child.start_at_s for child in self._children if child.start_at_s is not None]
        wake_s = min([now_s + LOOP_INTERVAL_S, until_s, *due])
        sentinels = [child.process.sentinel for child in self._children if child.process is not None]
        wait([self._wake_reader, *sentinels], timeout=max(0.0, wake_s - now_s))
        with suppress(BlockingIOError):
            self._wake_reader.recv(4096, socket.MSG_DONTWAIT)

    def _wake(self) -> None:
        """Wake the loop. Any thread may call this, also after the loop has ended."""
        with suppress(OSError):  # the pipe is full, which also wakes the loop, or closed
            self._wake_writer.send(b"\0", socket.MSG_DONTWAIT)

    @contextmanager
    def _signals_recorded(self) -> Iterator[None]:
        """Let SIGTERM, SIGINT and SIGHUP be recorded for the loop, and wake the loop.

        A terminal that goes away sends SIGHUP. Under ``nohup`` it is ignored, and stays ignored.
        """

        def record(number: int, _frame: FrameType | None) -> None:
            self._signals.append(number)

        handled = [signal.SIGTERM, signal.SIGINT]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            handled.append(signal.SIGHUP)
        self._wake_writer.setblocking(False)
        before = {number: signal.signal(number, record) for number in handled}
        wakeup_before = signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup_before)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._wake_reader.close()
            self._wake_writer.close()


def _time_to_stop(shutdown_timeout_s: float) -> float:
    """Return how long the children have; the rest is for killing the others, and for ourselves."""
    return shutdown_timeout_s - min(2.0, shutdown_timeout_s / 5)


def _name_and_pid(child: Child) -> dict[str, object]:
    return {"child": child.spec.name, "pid": child.pid}


def _outcome(status: int) -> dict[str, object]:
    return {"signal": signal.Signals(-status).name} if status < 0 else {"status": status}
