"""`tracker demo`, as a user runs it, small and without a terminal."""

import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

import psycopg
from confluent_kafka.admin import AdminClient

from tracker.stack import LocalStack
from tracker.stack.lifetime import wait_until

ENDED = {
    "invoices-1": "Completed",
    "invoices-2": "Completed",
    "invoices-3": "Completed",
    "book": "Completed",
    "book-index": "Completed",
    "book-review": "Completed",
    "book-print": "Completed",
    "newsletter": "Completed",
    "letters": "Failed",
    "letters-index": "Failed",
    "letters-mail": "Failed",
    "archive": "Cancelled",
    "photos": "Waiting",
}


class Demo:
    """Runs `tracker demo`; knows its processes, however deep, by a variable that they inherit."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.folder = folder
        self._mark = f"DEMO_TEST={uuid.uuid4().hex}"
        name, value = self._mark.split("=")
        self._environment = {**os.environ, **environment, name: value, "TMPDIR": str(folder)}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tracker", "demo", "--pages", "1000", *arguments],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def nothing_is_left(self) -> bool:
        return wait_until(lambda: not self.processes(), timeout_s=5) and not list(self.folder.iterdir())

    def processes(self) -> list[str]:
        """Return the command lines of all processes that belong to the demo."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if self._mark in (process / "environ").read_bytes().decode(errors="replace").split("\0"):
                    found.append((process / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue  # it has ended, or is somebody else's
        return found


def test_demo_needs_nothing_and_leaves_nothing(open_folder: Path) -> None:
    demo = Demo({"TRACKER_KAFKA_BOOTSTRAP_SERVERS": "", "TRACKER_DATABASE_URL": ""}, open_folder)
    with demo.start() as running:
        output, errors = running.communicate(timeout=100)
    assert (running.returncode, errors) == (0, ""), output
    assert "\x1b" not in output
    assert statuses(output) == ENDED
    assert re.search(r"^letters .* Failed .* demo:letters\.66: Page 66 is damaged\.$", output, re.MULTILINE)
    assert re.search(r"^letters-mail .* Failed .* demo:letters failed$", output, re.MULTILINE)
    assert "\nWRONG" not in output
    assert re.search(r"^[\d,]+ messages went through the tracker in [\d.]+ s: ", output, re.MULTILINE)
    assert (
        "photos is stuck on purpose. tracker job why demo:photos says:\n  demo:photos is Waiting, 0.0 %.\n"
        in output
    )
    assert "\n  - No consumer group has read photos." in output
    assert demo.nothing_is_left()


def test_interrupted_demo_leaves_nothing_on_servers_of_others(open_folder: Path, stack: LocalStack) -> None:
    demo = Demo(stack.environment(), open_folder)
    with demo.start() as running:
        assert running.stdout is not None
        for line in running.stdout:
            if "are submitted" in line:
                break
        running.send_signal(signal.SIGINT)
        output, errors = running.communicate(timeout=60)
    assert (running.returncode, errors) == (130, "")
    assert output.endswith("Ending everything ...\n")
    assert demo.nothing_is_left()
    topics = AdminClient({"bootstrap.servers": stack.bootstrap_servers}).list_topics(timeout=10).topics
    assert [topic for topic in topics if topic.startswith("demo-")] == []
    with psycopg.connect(stack.database_url) as connection:
        assert connection.execute("SELECT FROM pg_database WHERE datname LIKE 'demo%'").fetchall() == []


def test_servers_of_others_cannot_be_kept(open_folder: Path, stack: LocalStack) -> None:
    with Demo(stack.environment(), open_folder).start("--keep") as running:
        output, errors = running.communicate(timeout=30)
    assert (running.returncode, output) == (1, "Starting Kafka and PostgreSQL ...\n")
    assert errors == (
        "The demo can keep only servers that it starts, and TRACKER_KAFKA_BOOTSTRAP_SERVERS names others.\n"
    )


def statuses(output: str) -> dict[str, str]:
    """Return the status of each job in the table."""
    table = output[output.index("\nJOB ") :].split("\n\n", maxsplit=1)[0]
    found = (re.match(r"(\S+) .* (Completed|Failed|Cancelled|Waiting) ", line) for line in table.splitlines())
    return {match[1]: match[2] for match in found if match}
