"""``tracker run`` as users start it: a supervisor with its children, in processes of their own."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from tests.support.kafka import DEADLINE_S
from tracker.stack.server import clean_environment

ROOT = Path(__file__).resolve().parents[2]


class Program:
    """A `tracker run`; as a context, none of its processes is left behind."""

    def __init__(
        self, variables: Mapping[str, str], *, python: str = sys.executable, root: Path = ROOT
    ) -> None:
        self._mark = f"STARTED_BY={uuid.uuid4().hex}"
        environment = clean_environment(
            **{"TRACKER_LOG_FORMAT": "json", "PYTHONPATH": str(root), **variables}
        ) | dict([self._mark.split("=")])
        self._process = subprocess.Popen(
            [python, "-m", "tracker", "run"],
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.lines: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, name="log")
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        children = self.children().values()
        self._process.kill()
        for pid in children:
            _kill(pid)
        self._process.wait()
        # Children and all have the pipe: it ends when the last of them has gone.
        self._reader.join(DEADLINE_S)
        assert not self._reader.is_alive(), "processes were left behind"
        assert self._process.stderr is not None
        self._process.stderr.close()

    def wait_for(self, event: str, *, times: int = 1, **fields: object) -> dict[str, Any]:
        """Wait until such a line has been logged so many times, and return the last of them."""
        wanted = {"event": event, **fields}

        def found() -> list[dict[str, Any]]:
            return [line for line in self.lines if wanted.items() <= line.items()]

        with self._changed:
            seen = self._changed.wait_for(lambda: len(found()) >= times, DEADLINE_S)
        assert seen, f"no {wanted} in:\n{self.text()}"
        return found()[times - 1]

    def wait_for_text(self, pattern: str) -> None:
        """Wait until a line of the log matches."""
        with self._changed:
            seen = self._changed.wait_for(lambda: re.search(pattern, self.text()), DEADLINE_S)
        assert seen, f"no {pattern} in:\n{self.text()}"

    def children(self) -> dict[str, int]:
        """Return the process IDs of the children that were started and have not ended, by name."""
        return living_children(list(self.lines), self._mark)

    def kill(self, child: str) -> None:
        """Kill a child at once, as a crash would."""
        _kill(self.children()[child])

    def stop(self) -> int:
        """Ask it to stop, and return its exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end, and return its exit status."""
        return self._process.wait(DEADLINE_S)

    def text(self) -> str:
        """Return the log."""
        return "\n".join(json.dumps(line) for line in list(self.lines))

    def _read(self) -> None:
        assert self._process.stderr is not None
        for raw in self._process.stderr:
            try:
                line = json.loads(raw)
            except ValueError:
                line = {"event": raw.decode(errors="replace")}
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def living_children(lines: Iterable[Mapping[str, Any]], mark: str) -> dict[str, int]:
    """Return the children of which a supervisor's log says that they run, and that do, by name.

    `mark` is something in the supervisor's environment that no other has. One that was killed has not logged
    the end of its children, and their process IDs may be those of others by now.
    """
    pids: dict[str, int] = {}
    for line in lines:
        if line["event"] == "child started":
            pids[line["child"]] = line["pid"]
        elif line["event"] in {"child ended", "child stopped"}:
            pids.pop(line["child"], None)
    return {name: pid for name, pid in pids.items() if mark.encode() in _environment_of(pid)}


def _environment_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
