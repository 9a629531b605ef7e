"""`tracker run` in containers, as a user that nobody knows, with a log that nobody reads.

What has namespaces of its own needs `unshare`, and the right to use it; elsewhere those tests are skipped.
"""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.deployment import Deployment
from tests.support.kafka import wait_until
from tests.support.program import ROOT
from tracker.stack.server import clean_environment

READ_ONLY = """
for path in / /tmp "$PWD" "$0"; do mount -o remount,bind,ro "$(stat -c %m "$path")"; done
if touch /tmp/written "$PWD/written" 2>/dev/null; then echo writable >&2; exit 77; fi
exec "$@"
"""
UNSHARED = {
    "a user that has no entry in passwd": ["unshare", "--user", "--map-user=12345", "--map-group=12345"],
    "a file system that can only be read": ["unshare", "--mount", "sh", "-c", READ_ONLY, sys.prefix],
    "process 1 of a container": ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"],
}

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tracker: Deployment) -> Iterator[Start]:
    """Start `tracker run`, by way of another command if need be; its log goes to `stderr`."""
    started: list[subprocess.Popen[bytes]] = []
    tracker.programs = 1

    def run(*before: str, stderr: int, **variables: str | None) -> subprocess.Popen[bytes]:
        wanted = {"TRACKER_LOG_FORMAT": "json", "PYTHONPATH": str(ROOT), **tracker.variables, **variables}
        environment = clean_environment() | wanted
        started.append(
            subprocess.Popen(
                [*before, sys.executable, "-m", "tracker", "run"],
                cwd=ROOT,
                env={name: value for name, value in environment.items() if value is not None},
                stdin=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
            )
        )
        return started[-1]

    try:
        yield run
    finally:
        for process in started:
            # All that it has started is in its session, and nothing else is.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def work(tracker: Deployment, job_id: str) -> None:
    """Have a job go from its start to its end."""
    tracker.submit(job_id)
    wait_until(lambda: f"acme:{job_id}" in tracker.started(), "the start of the job")
    tracker.process(tracker.message(f"acme:{job_id}.1"), tracker.message(f"acme:{job_id}.2*"))
    assert tracker.status(job_id) == "Completed"


def stop(process: subprocess.Popen[bytes], pid: int | None = None) -> None:
    """Ask it to stop; it must end well."""
    os.kill(pid or process.pid, signal.SIGTERM)
    assert process.wait(60) == 0


def child_of(pid: int) -> int:
    """Return the process ID of the one child of a process."""
    [child] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def test_it_needs_no_home(tracker: Deployment, start: Start, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        process = start(stderr=log.fileno(), HOME=None)
        work(tracker, "job")
        stop(process)


@pytest.mark.parametrize("where", UNSHARED)
def test_it_runs_as(where: str, tracker: Deployment, start: Start, tmp_path: Path) -> None:
    before = UNSHARED[where]
    if subprocess.run([*before, "true"], capture_output=True, check=False, cwd=ROOT).returncode:
        pytest.skip(f"{before[0]} is not there, or not allowed")
    with (tmp_path / "log").open("wb") as log:
        process = start(*before, stderr=log.fileno())
        work(tracker, "job")
        stop(process, child_of(process.pid) if "--fork" in before else None)


def test_a_reader_of_its_log_that_goes_away_stops_no_process(tracker: Deployment, start: Start) -> None:
    reading, writing = os.pipe()
    process = start(stderr=writing, TRACKER_LOG_LEVEL="debug")
    os.close(writing)
    work(tracker, "before")
    os.close(reading)
    work(tracker, "after")
    stop(process)


def test_a_reader_of_its_log_that_does_not_read_stops_no_process(tracker: Deployment, start: Start) -> None:
    """The pipe is full after some lines: a write to it waits for ever."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4_096)
    try:
        process = start(stderr=writing, TRACKER_LOG_LEVEL="debug")
        os.close(writing)
        for number in range(3):
            work(tracker, f"job-{number}")
        stop(process)
    finally:
        os.close(reading)
