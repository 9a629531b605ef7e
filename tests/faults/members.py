"""The tracker's processes, as the fault tests start, kill, freeze and thaw them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.faults.clock import VARIABLE as CLOCK
from tests.faults.planted import VARIABLE as PLANTED
from tests.support.kafka import wait_until
from tests.support.program import living_children
from tracker import failpoints
from tracker.stack.server import clean_environment

ROOT = Path(__file__).resolve().parents[2]
TAIL_LINES = 80


class Process:
    """One process of `tests.faults.program`, and its log. `what`: ``run``, ``worker 0`` or ``scheduler``."""

    def __init__(
        self,
        what: str,
        variables: Mapping[str, str],
        log: Path,
        *,
        fail: str = "",
        bug: str = "",
        clock_offset_s: int = 0,
    ) -> None:
        self.what, self.log = what, log
        self.failpoints = log.with_suffix(".failpoints")
        self.failpoints.write_text(fail)
        self.clock = log.with_suffix(".clock")
        self.set_clock(clock_offset_s)
        own = {failpoints.VARIABLE: str(self.failpoints), PLANTED: bug}
        if clock_offset_s:
            own[CLOCK] = str(self.clock)
        environment = clean_environment(**variables, **own)
        with log.open("ab") as output, _sigterm_blocked(what != "run"):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.program", *what.split()],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process's ID."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines that it has logged."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                found.append({"event": line})
        return found

    def has_logged(self, event: str, **fields: object) -> bool:
        """Return whether it has logged a line of this event with these fields."""
        wanted = {"event": event, **fields}
        return any(wanted.items() <= line.items() for line in self.lines())

    def children(self) -> dict[str, int]:
        """Return the living children of ``run``: name to process ID."""
        return living_children(self.lines(), str(self.failpoints))

    def set_clock(self, offset_s: int) -> None:
        """Change by how much the clock is wrong. The process must have been started with a wrong one."""
        new = self.clock.with_suffix(".new")
        new.write_text(str(offset_s))
        new.replace(self.clock)

    def wait_until_frozen(self) -> None:
        """Wait until it has frozen itself at a failpoint."""
        wait_until(lambda: state_of(self.pid) == "T" or not self.is_running, f"{self.what} frozen")
        assert self.is_running, self.tail()

    def wait_for_end(self, timeout_s: float = 60.0) -> int:
        """Wait until it has ended, and return its exit status: negative for a signal."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.what} does not end:\n{self.tail()}") from None

    def freeze(self) -> None:
        """Suspend it."""
        if self.is_running:
            kill_quietly(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue it."""
        if self.is_running:
            kill_quietly(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill it, as a crash would."""
        if self.is_running:
            self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Stop it in order, and check that it exits with 0."""
        self.thaw()
        self._process.terminate()
        status = self.wait_for_end()
        assert status == 0, f"{self.what} ended with {status}:\n{self.tail()}"

    def end(self) -> None:
        """Kill it and its children, in any state, and wait until they are gone."""
        children = list(self.children().values()) if self.what == "run" else []
        self.kill()
        for pid in children:
            kill_quietly(pid)
        assert_gone(children)

    def dump_stacks(self) -> None:
        """Have it write the stacks of its threads to its log."""
        before = self.log.stat().st_size
        kill_quietly(self.pid, signal.SIGUSR1)
        deadline = time.monotonic() + 2
        while self.log.stat().st_size == before and time.monotonic() < deadline:
            time.sleep(0.02)

    def tail(self) -> str:
        """Return the last lines of its log, without the many lines of librdkafka."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join([line for line in lines if '"librdkafka"' not in line][-TAIL_LINES:])


@contextmanager
def _sigterm_blocked(blocked: bool) -> Iterator[None]:
    """Block SIGTERM for the processes started meanwhile, as a supervisor does; they unblock it when ready."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM} if blocked else set())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def state_of(pid: int) -> str:
    """Return the state of a process as ``ps`` shows it; empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def is_alive(pid: int) -> bool:
    """Return whether the process exists and is not a zombie."""
    return state_of(pid) not in {"", "Z", "X"}


def kill_quietly(pid: int, number: int = signal.SIGKILL) -> bool:
    """Send a signal to one of our processes, which may be gone already; return whether it was there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def assert_gone(pids: list[int], timeout_s: float = 10.0) -> None:
    """Fail if any of these processes still exists after the timeout."""
    deadline = time.monotonic() + timeout_s
    while left := [pid for pid in pids if is_alive(pid)]:
        assert time.monotonic() < deadline, f"processes are left: {left}"
        time.sleep(0.02)
