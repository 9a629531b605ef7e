"""Run the tracker as users run it: `tracker run` with environment variables, stopped by SIGTERM."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.contenders import Contender
from bench.errors import BenchError
from bench.workload import Topics
from tracker.settings import Settings, load
from tracker.stack.lifetime import ProcessIdentity, Watchdog
from tracker.stack.ports import free_ports
from tracker.stack.server import clean_environment

PASSED_ON = ("TRACKER_", "CAF_")  # the prefixes of variables that the tracker gets from the user
_READY_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 40.0
_END_TIMEOUT_S = 10.0  # after an interrupt or a failure
_REPORT_INTERVAL_S = 1.0  # how often workers report their metrics to the supervisor


def tracker_environment(
    environ: Mapping[str, str], topics: Topics, bootstrap_servers: str, database_url: str, workers: int
) -> dict[str, str]:
    """Return the tracker's variables: the user's, overridden by those of the measurement."""
    return {name: text for name, text in environ.items() if name.startswith(PASSED_ON)} | {
        "TRACKER_KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
        "TRACKER_DATABASE_URL": database_url,
        "TRACKER_TOPICS": topics.tracking,
        "TRACKER_DEAD_LETTER_TOPIC": topics.dead_letters,
        "TRACKER_DESTINATIONS": "",
        "TRACKER_GROUP_ID": topics.tracking,
        "TRACKER_INSTANCE": "bench",
        "TRACKER_WORKERS": str(workers),
        "TRACKER_HTTP_HOST": "127.0.0.1",
        "TRACKER_HTTP_PORT": str(free_ports(1)[0]),
        "TRACKER_LOG_FORMAT": "json",
    }


def tracker_settings(environ: Mapping[str, str], workers: int) -> Settings:
    """Return the settings that the tracker will have, except for names and addresses.

    :raises SettingsError: a variable of the user is wrong.
    """
    return load(tracker_environment(environ, Topics.of("bench"), "localhost:9092", "dbname=bench", workers))


@contextmanager
def run_tracker(variables: Mapping[str, str], database: str, watchdog: Watchdog) -> Iterator[Contender]:
    """Run the tracker, which is ready when this yields. At the end, it must stop with status 0."""
    with tempfile.TemporaryDirectory(prefix="tracker-bench-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as stderr:
            child = subprocess.Popen(
                [sys.executable, "-m", "tracker", "run"],
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                env=clean_environment(**variables),
                start_new_session=True,
            )
        identity = ProcessIdentity.of(child.pid)
        watchdog.watch(identity, signal.SIGTERM)
        run = _TrackerRun(child, log, int(variables["TRACKER_HTTP_PORT"]))
        with child:
            try:
                run.wait_until_ready()
                group_id = variables["TRACKER_GROUP_ID"]
                yield Contender("tracker", group_id, [child.pid], run.check, run.stages, database)
                run.stop()
            finally:
                _end(child)
                watchdog.unwatch(identity)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the tracker if it still runs, if possible by SIGTERM, so that its group can be deleted."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)  # its workers too
            child.wait()


class _TrackerRun:
    """A process of `tracker run`."""

    def __init__(self, child: subprocess.Popen[bytes], log: Path, port: int) -> None:
        self._child = child
        self._log = log
        self._url = f"http://127.0.0.1:{port}"

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while not self._get("/readyz"):
            self.check()
            if time.monotonic() > deadline:
                raise BenchError(f"tracker run was not ready in time; {self._last_log_line()}")
            time.sleep(0.05)

    def check(self) -> None:
        if self._child.poll() is not None:
            raise BenchError(f"tracker run has ended; {self._last_log_line()}")

    def stages(self) -> dict[str, float]:
        """Return the seconds that all workers together have spent in each stage, after their next reports."""
        time.sleep(_REPORT_INTERVAL_S * 1.2)
        found = {}
        for line in self._get("/metrics").splitlines():
            if line.startswith("tracker_stage_duration_seconds_sum{"):
                stage = line.split('stage="', 1)[1].split('"', 1)[0]
                found[stage] = float(line.rsplit(" ", 1)[1])
        return found

    def stop(self) -> None:
        self._child.send_signal(signal.SIGTERM)
        try:
            status = self._child.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise BenchError(f"tracker run did not end after SIGTERM; {self._last_log_line()}") from None
        if status != 0:
            raise BenchError(f"tracker run ended with status {status}; {self._last_log_line()}")

    def _get(self, path: str) -> str:
        """Return the body of the response, or nothing if its status is not 200."""
        try:
            with urllib.request.urlopen(self._url + path, timeout=5) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            return ""

    def _last_log_line(self) -> str:
        """Return the last line of its log, if possible a warning or an error, as part of a sentence."""
        lines = self._log.read_text(errors="replace").splitlines()
        logged = [_read(line) for line in lines if line.strip()]
        warnings = [line for line in logged if line.get("level") not in ("debug", "info")]
        if not (warnings or logged):
            return "its log is empty"
        last = (warnings or logged)[-1]
        details = {name: text for name, text in last.items() if name not in ("level", "time")}
        return "its last log line: " + ", ".join(f"{name} {text}" for name, text in details.items())


def _read(line: str) -> dict[str, Any]:
    """Return a log line as a dictionary; the event of a plain sentence is the sentence."""
    try:
        read = json.loads(line)
    except ValueError:
        read = None
    return read if isinstance(read, dict) else {"event": line}
