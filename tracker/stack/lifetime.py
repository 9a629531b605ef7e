"""Identifies and ends server processes, also if their owner dies.

A server is identified by its process ID *and* its start time, so that a later process with the same ID never
gets its signals. Servers that belong to a program (a test run, a benchmark, the demo) must not outlive it,
even if it is killed with SIGKILL. The usual `PR_SET_PDEATHSIG` does not work for this: it fires when the
*thread* that started the server ends, and exists only on Linux. So a second small process, the watchdog,
holds the other end of a pipe. It learns of each server and folder; when the pipe closes, it ends the servers
and removes the folders that are left.

This file is also the watchdog's program. It runs by its path, with nothing but the standard library, so that
it starts in a few milliseconds and takes little memory.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

POLL_S = 0.02


@dataclass(frozen=True)
class ProcessIdentity:
    """One process, which is distinct from later ones with the same ID, even after a reboot."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Self:
        """Return the process that has this ID now; if there is none, an identity that is not running."""
        return cls(pid, _start_of(pid) or "never")

    def is_running(self) -> bool:
        """Return whether the process has not ended. A process that was not reaped has ended too."""
        return _start_of(self.pid) == self.started

    def send(self, signal_number: int) -> None:
        """Send a signal, if the process is still running."""
        if self.is_running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal_number)


def end_all(servers: Iterable[tuple[ProcessIdentity, int]], timeout_s: float = 10.0) -> None:
    """End all processes at once, each with its own signal; after the timeout, send SIGKILL."""
    servers = list(servers)
    for identity, signal_number in servers:
        identity.send(signal_number)
    if not wait_until(lambda: not any(identity.is_running() for identity, _ in servers), timeout_s):
        for identity, _ in servers:
            identity.send(signal.SIGKILL)
        wait_until(lambda: not any(identity.is_running() for identity, _ in servers), timeout_s)


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Wait until the condition holds, and return whether it did in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


class Watchdog:
    """The owner's side of the watchdog.

    The watchdog ends the servers and removes the folders when this process ends in any way. It starts with
    the first call. Threads may share it.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def watch(self, identity: ProcessIdentity, signal_number: int) -> None:
        """End this process, with this signal, when the owner dies."""
        self._send({"watch": identity.pid, "started": identity.started, "signal": signal_number})

    def unwatch(self, identity: ProcessIdentity) -> None:
        """Leave this process alone, because it has ended, or is to outlive the owner."""
        self._send({"unwatch": identity.pid})

    def watch_directory(self, directory: Path) -> None:
        """Remove this folder when the owner dies, after the processes have ended."""
        self._send({"watch_directory": str(directory)})

    def unwatch_directory(self, directory: Path) -> None:
        """Leave this folder alone."""
        self._send({"unwatch_directory": str(directory)})

    def close(self) -> None:
        """End all watched processes and remove the folders, as after the owner's death, and wait for it."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.communicate()

    def _send(self, message: dict[str, Any]) -> None:
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", __file__],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    cwd="/",
                    start_new_session=True,
                )
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()


def _watch_owner(messages: IO[str]) -> None:
    servers: dict[int, tuple[ProcessIdentity, int]] = {}
    directories: dict[str, None] = {}
    for line in messages:
        match json.loads(line):
            case {"watch": int(pid), "started": str(started), "signal": int(signal_number)}:
                servers[pid] = (ProcessIdentity(pid, started), signal_number)
            case {"unwatch": int(pid)}:
                servers.pop(pid, None)
            case {"watch_directory": str(directory)}:
                directories[directory] = None
            case {"unwatch_directory": str(directory)}:
                directories.pop(directory, None)
    end_all(servers.values())
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


def _start_of(pid: int) -> str | None:
    if sys.platform != "linux":
        return _start_by_ps(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field is the program's name in parentheses, which may itself contain spaces and parentheses.
    fields = stat[stat.rindex(")") + 2 :].split()
    state, ticks_since_boot = fields[0], fields[19]
    return None if state in "ZX" else f"{_boot_id()}/{ticks_since_boot}"


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _start_by_ps(pid: int) -> str | None:
    shown = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = shown.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


if __name__ == "__main__":
    # The owner's Ctrl-C does not concern the watchdog, which waits for the pipe to close.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _watch_owner(sys.stdin)
