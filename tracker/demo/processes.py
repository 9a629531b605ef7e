"""Runs the tracker and the workers of `examples/` as users run them, each as a process."""

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tracker.demo.jobs import MS_PER_SCANNED_PAGE, DemoError
from tracker.demo.servers import Servers
from tracker.stack.lifetime import ProcessIdentity, Watchdog
from tracker.stack.ports import free_ports
from tracker.stack.server import clean_environment

PAGE_WORKERS = 2
TRACKER = "tracker run"
_READY_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
_CLONE = Path(__file__).parents[2]
_MESSAGES = re.compile(r"^tracker_messages_total\{.*\} (\S+)$", re.MULTILINE)


def is_clone() -> bool:
    """Return whether this program runs from a clone of its repository, and is not installed."""
    return (_CLONE / "pyproject.toml").exists()


def examples_folder() -> Path:
    """Return the folder of the example workers: beside the package in a clone, otherwise in `share`."""
    return (
        _CLONE / "examples"
        if is_clone()
        else Path(sysconfig.get_path("data"), "share", "job-tracker", "examples")
    )


class Processes:
    """`tracker run` and the example workers, each with a log. They do not outlive this program."""

    def __init__(self, servers: Servers, tracker_workers: int) -> None:
        self._servers = servers
        self._tracker_workers = tracker_workers
        self._http_port = free_ports(1)[0]
        self._watchdog = Watchdog()
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self.logs = Path(tempfile.mkdtemp(prefix="tracker-demo-"))
        self.keep_logs = False  # set if the user should read them
        self._watchdog.watch_directory(self.logs)

    def start(self) -> None:
        """Start all processes and wait until the tracker is ready.

        :raises DemoError: a process does not start.
        """
        self._start(TRACKER, ["-m", "tracker", "run"])
        names = self._servers.names
        self._start_example("splitter", names.documents, "--pages", names.pages, "--scans", names.scans)
        for number in range(1, PAGE_WORKERS + 1):
            self._start_example(
                "page_worker", names.pages, "--name", str(number), log=f"page_worker-{number}"
            )
        slowly = ["--group", "scan-worker", "--ms-per-page", str(MS_PER_SCANNED_PAGE)]
        self._start_example("page_worker", names.scans, *slowly, log="scan_worker")
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while self._get("/readyz") is None:
            self.check()
            if time.monotonic() > deadline:
                raise DemoError(f"tracker run was not ready in time; {self._last_words(TRACKER)}")
            time.sleep(0.05)

    def check(self) -> None:
        """Check that all processes are running.

        :raises DemoError: one of them has ended.
        """
        for name, child in self._children.items():
            if child.poll() is not None:
                self.keep_logs = True
                raise DemoError(
                    f"the process {name} has ended with status {child.returncode};"
                    f" {self._last_words(name)} (the logs are in {self.logs})"
                )

    def messages(self) -> int | None:
        """Return how many messages have passed the tracker, from its metrics; None if it does not answer.

        :raises DemoError: one of the processes has ended.
        """
        self.check()
        text = self._get("/metrics")
        return None if text is None else sum(int(float(count)) for count in _MESSAGES.findall(text))

    def stop(self) -> list[str]:
        """End all processes cleanly; return a sentence for each that did not end well.

        It has no effect without a start, or the second time.
        """
        troubles = []
        for child in self._children.values():
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        for name, child in self._children.items():
            try:
                status = child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                troubles.append(f"The process {name} did not end within {_STOP_TIMEOUT_S:.0f} s.")
                _kill(child)
                continue
            if status != 0:
                troubles.append(f"The process {name} ended with status {status}; {self._last_words(name)}.")
        self._children.clear()
        return troubles

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            for child in self._children.values():  # a second Ctrl-C
                _kill(child)
            self._children.clear()
            if self.keep_logs:
                self._watchdog.unwatch_directory(self.logs)
            else:
                shutil.rmtree(self.logs, ignore_errors=True)
            self._watchdog.close()

    def variables(self) -> dict[str, str]:
        """Return the tracker's settings, as variables of the environment."""
        names = self._servers.names
        return {
            "TRACKER_KAFKA_BOOTSTRAP_SERVERS": self._servers.bootstrap_servers,
            "TRACKER_DATABASE_URL": self._servers.database_url,
            "TRACKER_TOPICS": names.tracking,
            "TRACKER_DEAD_LETTER_TOPIC": names.dead_letters,
            "TRACKER_GROUP_ID": names.group,
            "TRACKER_WORKERS": str(self._tracker_workers),
            "TRACKER_PROPAGATE_FAILURES": "true",
            "TRACKER_HTTP_PORT": str(self._http_port),
            # The second worker joins at the first one's next heartbeat, which by default is after 3 s.
            "TRACKER_KAFKA_CONSUMER_HEARTBEAT_INTERVAL_MS": "300",
            "PYTHONUNBUFFERED": "1",
        }

    def _start_example(self, program: str, topic: str, *arguments: str, log: str = "") -> None:
        script = examples_folder() / f"{program}.py"
        if not script.exists():
            raise DemoError(f"the example workers are missing: there is no {script}")
        servers = ["--bootstrap-servers", self._servers.bootstrap_servers]
        self._start(log or program, [str(script), *servers, "--input", topic, *arguments])

    def _start(self, name: str, arguments: Sequence[str]) -> None:
        with self._log(name).open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=clean_environment(**self.variables()),
                start_new_session=True,  # so that Ctrl-C in a terminal does not reach it
            )
        self._children[name] = child
        # If this program is killed, the tracker ends its own processes; the others can be killed.
        fast_stop = signal.SIGTERM if name == TRACKER else signal.SIGKILL
        self._watchdog.watch(ProcessIdentity.of(child.pid), fast_stop)

    def _get(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._http_port}{path}", timeout=2) as response:
                text: str = response.read().decode()
                return text
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return None

    def _log(self, name: str) -> Path:
        return self.logs / f"{name.replace(' ', '-')}.log"

    def _last_words(self, name: str) -> str:
        lines = self._log(name).read_text(errors="replace").splitlines()
        return f"its last words: {lines[-1]}" if lines else "it said nothing"


def _kill(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)  # with its own children, which are in its session
        child.wait()
