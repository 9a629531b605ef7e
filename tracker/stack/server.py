"""One server process: start it, wait until it serves, stop it, kill it, start it again."""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracker.errors import StackError
from tracker.stack.lifetime import POLL_S, ProcessIdentity, Watchdog


class PortTaken(StackError):
    """Another program listens on the port of the server; try another port."""


@dataclass(frozen=True)
class Account:
    """The user that a server runs as, if it is not the user of this program."""

    name: str
    uid: int
    gid: int


class ServerProcess:
    """A server as a child process, in a session of its own, so that Ctrl-C in a terminal does not reach it.

    It can be started, ended and started again any number of times. To end it has no effect if it is not
    running. With a watchdog, it does not outlive this program; without one it does, unless it is stopped.
    """

    def __init__(
        self,
        name: str,
        log: Path,
        *,
        fast_stop_signal: int,
        watchdog: Watchdog | None,
        account: Account | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self.fast_stop_signal = fast_stop_signal
        self._watchdog = watchdog
        self._account = account
        self._child: subprocess.Popen[bytes] | None = None
        self._identity: ProcessIdentity | None = None
        self._log_start = 0

    @property
    def identity(self) -> ProcessIdentity:
        """The running process.

        :raises StackError: it is not running.
        """
        if self._identity is None or not self.is_running():
            raise StackError(f"{self.name} is not running.")
        return self._identity

    def is_running(self) -> bool:
        """Return whether the process was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    def launch(self, command: Sequence[str | Path], environment: Mapping[str, str], directory: Path) -> None:
        """Start the process, and return at once.

        :raises StackError: it is running already, or cannot be run.
        """
        if self.is_running():
            raise StackError(f"{self.name} is running already.")
        with self.log.open("ab") as log, _runnable(command):
            self._log_start = log.tell()
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=directory,
                env=environment,
                start_new_session=True,
                **run_as(self._account),
            )
        self._identity = ProcessIdentity.of(self._child.pid)
        if self._watchdog is not None:
            self._watchdog.watch(self._identity, self.fast_stop_signal)

    def wait_for_log(self, text: str, deadline: float) -> None:
        """Wait until the log of this start contains the text.

        :raises StackError: it does not in time, and the process is ended; or the process has ended.
        """
        while text not in self.log_text():
            if not self.is_running():
                self._drop()
                if "Address already in use" in self.log_text():
                    raise PortTaken(f"{self.name} found its port taken.")
                raise StackError(f"{self.name} did not start: {self._last_error()}")
            if time.monotonic() > deadline:
                self.kill()
                raise StackError(f"{self.name} did not start in time: {self._last_error()}")
            time.sleep(POLL_S)

    def log_text(self) -> str:
        """Return the log since the last start."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def stop(self, signal_number: int, timeout_s: float) -> None:
        """Ask the process to end, and wait for it; kill it after the timeout."""
        if self._child is not None and self.is_running():
            self._child.send_signal(signal_number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(timeout_s)
        self.kill()

    def kill(self) -> None:
        """End the process with SIGKILL and wait until it has gone."""
        if self._child is not None and self.is_running():
            self._child.kill()
            self._child.wait()
        self._drop()

    def disown(self) -> None:
        """Let the process outlive this program. Afterwards this object does not know it any more."""
        if self._watchdog is not None:
            self._watchdog.unwatch(self.identity)
        if self._child is not None:
            # Popen warns if it is freed while its child is running, which is intended here.
            self._child.returncode = 0
        self._child = self._identity = None

    def _drop(self) -> None:
        if self._watchdog is not None and self._identity is not None:
            self._watchdog.unwatch(self._identity)
        self._child = self._identity = None

    def _last_error(self) -> str:
        lines = [line.strip() for line in self.log_text().splitlines() if line.strip()]
        errors = [
            line for line in lines if any(word in line for word in ("ERROR", "FATAL", "Error", "Exception"))
        ]
        last = (errors or lines or ["it logged nothing"])[-1]
        return f"the log says: {last}"


def run_to_end(
    command: Sequence[str | Path],
    what: str,
    *,
    directory: Path,
    environment: Mapping[str, str],
    account: Account | None = None,
) -> None:
    """Run a command until it ends.

    :raises StackError: it fails; the text has its first error, or its last line.
    """
    with _runnable(command):
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=environment,
            check=False,
            text=True,
            errors="replace",
            **run_as(account),
        )
    if done.returncode != 0:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()]
        raise StackError(f"{what} failed: {(errors or lines[-1:] or ['it said nothing'])[0]}")


def clean_environment(**additional: str) -> dict[str, str]:
    """Return this program's environment without variables that change servers (PG..., KAFKA...)."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(
            ("PG", "KAFKA", "TRACKER_", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS")
        )
    }
    return kept | {"LC_ALL": "C"} | additional


def run_as(account: Account | None) -> dict[str, Any]:
    """Return the arguments of `subprocess` with which a process runs as this user."""
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}


@contextlib.contextmanager
def _runnable(command: Sequence[str | Path]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StackError(f"{command[0]} cannot be run: {error.strerror}.") from error
