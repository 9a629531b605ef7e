"""A reader of a document, who types its examples into a shell and an interpreter, one after the other."""

import difflib
import os
import re
import signal
import subprocess
import sys
import uuid
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sybil import Example

from tests.examples.not_run import stand_ins, why_not
from tracker.stack.server import clean_environment

ROOT = Path(__file__).resolve().parents[2]
COMMAND_TIMEOUT_S = 100
_SERVICE = "tracker run"
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ")


class Reader:
    """Has a Kafka, a database with the schema, a worker that reads `worker-in`, and a folder to work in."""

    def __init__(self, bootstrap_servers: str, database_url: str, folder: Path) -> None:
        suffix = uuid.uuid4().hex[:12]
        self._folder = folder
        self._database_url = database_url
        self._stand_ins = stand_ins(suffix, str(conninfo_to_dict(database_url)["dbname"]))
        self._namespace: dict[str, Any] = {"database_url": database_url}
        self._groups: list[int] = []
        self._environment = clean_environment(
            PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            PYTHONPATH=str(ROOT),
            TRACKER_KAFKA_BOOTSTRAP_SERVERS=bootstrap_servers,
            TRACKER_DATABASE_URL=database_url,
            TRACKER_TOPICS=f"tracking-{suffix}",
            TRACKER_DEAD_LETTER_TOPIC=f"tracker-dead-letter-{suffix}",
            TRACKER_GROUP_ID=f"tracker-{suffix}",
            TRACKER_WORKERS="1",
            TRACKER_HTTP_PORT="",
        )
        for name in ("examples", "deploy"):
            (folder / name).symlink_to(ROOT / name)
        self._worker_topic = self._stand_ins["worker-in"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            for group in self._groups:
                with suppress(ProcessLookupError):
                    os.killpg(group, signal_number)

    def start_worker(self) -> None:
        """Make the topics of README's jobs, and start the worker that reads them."""
        topics = ",".join(self._stand_ins[name] for name in ("worker-in", "worker-out"))
        status, output = self._bash(f"TRACKER_TOPICS={topics} tracker topics --create")
        assert status == 0, output
        program = "PYTHONPATH=examples python {} --bootstrap-servers {} --input {} --group {} &"
        self._bash(
            program.format(
                ROOT / "tests" / "examples" / "document_worker.py",
                self._environment["TRACKER_KAFKA_BOOTSTRAP_SERVERS"],
                self._worker_topic,
                self._stand_ins["document-worker"],
            )
        )

    def run_shell(self, example: Example) -> str | None:
        """Run the lines that are not on the list; each must succeed."""
        text = self._own(example.parsed)
        lines = [line for line in text.splitlines() if why_not(line) is None]
        script = "\n".join(f"{_SERVICE} &" if _bare(line) == _SERVICE else line for line in lines)
        status, output = self._bash(f"set -euo pipefail\n{script}")
        return None if status == 0 else f"it ended with {status}:\n{script}\n{output}"

    def run_console(self, example: Example) -> str | None:
        """Run each command, and compare what it prints with what the document says that it does."""
        for command, expected in _typed(self._own(example.parsed)):
            _, output = self._bash(command)
            if _comparable(output) != _comparable(expected):
                difference = difflib.unified_diff(_comparable(expected), _comparable(output), lineterm="")
                return f"{command}\n" + "\n".join(difference)
        return None

    def run_python(self, example: Example) -> str | None:
        """Run it; a comment after a ``print`` says what it prints."""
        code = self._own(example.parsed)
        expected = re.findall(r"^ *print\(.*\)  # (.*)$", code, re.MULTILINE)
        with redirect_stdout(StringIO()) as printed:
            exec(compile(code, example.path, "exec"), self._namespace)
        output = printed.getvalue().splitlines()
        return None if output == expected else f"it printed {output}, not {expected}"

    def run_sql(self, example: Example) -> str | None:
        """Run it in a transaction that is undone: roles belong to the whole server."""
        with psycopg.connect(self._database_url) as connection:
            connection.execute(self._own(example.parsed).encode())
            connection.rollback()
        return None

    def _own(self, text: str) -> str:
        for name, own in self._stand_ins.items():
            text = text.replace(name, own)
        return text

    def _bash(self, script: str) -> tuple[int, str]:
        """Run a script and return its status and what it printed; the next one has its exported variables."""
        variables, output = self._folder / ".variables", self._folder / f".output-{len(self._groups)}"
        # Into a file of its own: what continues in the background would keep a pipe open.
        with output.open("wb") as stdout:
            process = subprocess.Popen(
                ["bash", "-c", f"{script}\nenv -0 > .variables"],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._groups.append(process.pid)
            try:
                status = process.wait(COMMAND_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                status = process.wait()
        if variables.exists():
            pairs = variables.read_bytes().decode().split("\0")
            self._environment = dict(pair.split("=", 1) for pair in pairs if pair)
            variables.unlink()
        return status, output.read_text("utf-8", "replace")


def _bare(line: str) -> str:
    return re.sub(r"\s+#\s.*", "", line).strip()


def _typed(text: str) -> list[tuple[str, str]]:
    """Return the commands of a console example, each with what it prints."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif line.startswith("> "):
            found[-1] = (f"{found[-1][0]}\n{line[2:]}", "")
        else:
            found[-1] = (found[-1][0], f"{found[-1][1]}{line}\n")
    return found


def _comparable(output: str) -> list[str]:
    """Return the lines of an output, with one time for all, and columns of any width."""
    lines = _TIME.sub("2026-01-01 00:00:00Z", output).splitlines()
    return [re.sub(" {2,}", "  ", line.rstrip()) for line in lines]
