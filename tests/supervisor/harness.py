"""Starts a supervisor as a process of its own and follows its log."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

from tests.support.metrics import metric_in

ROOT = Path(__file__).resolve().parents[2]

START_S = 30.0
"""How long anything may take on a busy machine."""


class Program:
    """A supervisor that runs; as a context, none of its processes is left behind.

    `children`: name to function of `tests.supervisor.processes`.
    """

    def __init__(
        self,
        *,
        http_port: int | None = 0,
        shutdown_timeout_s: float = 20.0,
        database_url: str | None = None,
        restart_policy: dict[str, float] | None = None,
        **children: str,
    ) -> None:
        wanted = {
            "children": {name.replace("_", "-"): target for name, target in children.items()},
            "http_port": http_port,
            "shutdown_timeout_s": shutdown_timeout_s,
            "database_url": database_url,
            "restart_policy": {"backoff_s": 0.05, **(restart_policy or {})},
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.supervisor.program", json.dumps(wanted)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.output: list[str] = []
        self.lines: list[dict[str, Any]] = []
        self._cursor = 0
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Killed while it starts a child, it would leave that one with half of what it needs to begin.
        self._process.terminate()
        try:
            self._process.wait(3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # Children and all have the pipe; it ends when the last of them has gone.
        self._reader.join(START_S)
        assert not self._reader.is_alive(), "processes were left behind"
        assert self._process.stderr is not None
        self._process.stderr.close()
        assert "Traceback" not in "".join(self.output)

    def next(self, event: str, **fields: object) -> dict[str, Any]:
        """Wait for the next line of the log with this event and these fields, after the last one found."""
        wanted = {"event": event, **fields}

        def found() -> bool:
            for index in range(self._cursor, len(self.lines)):
                if wanted.items() <= self.lines[index].items():
                    self._cursor = index + 1
                    return True
            return False

        with self._changed:
            assert self._changed.wait_for(found, START_S), f"no {wanted} in:\n{''.join(self.output)}"
        return self.lines[self._cursor - 1]

    def events(self) -> list[str]:
        """Return the events that were logged so far."""
        return [line["event"] for line in self.lines]

    def signal(self, number: int, *, group: bool = False) -> None:
        """Send a signal to the supervisor, or to all its processes, as a terminal does."""
        if group:
            os.killpg(self._process.pid, number)
        else:
            self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for the supervisor's end, and return its exit status."""
        status = self._process.wait(START_S)
        self.all_gone(START_S)
        return status

    def stop(self) -> int:
        """Ask it to stop, and return its exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def all_gone(self, limit_s: float) -> None:
        """Wait until neither the supervisor nor any of its children is left."""
        self._reader.join(limit_s)
        assert not self._reader.is_alive(), f"processes are left after {limit_s} s"

    @property
    def port(self) -> int:
        """The port of its HTTP endpoint."""
        with self._changed:
            assert self._changed.wait_for(lambda: "serving HTTP" in self.events(), START_S)
        return next(int(line["port"]) for line in self.lines if line["event"] == "serving HTTP")

    def get(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Ask its HTTP endpoint."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_S)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def get_until(self, path: str, status: int) -> Any:
        """Ask until the answer has this status, and return its JSON."""
        limit_s = time.monotonic() + START_S
        while (answer := self.get(path))[0] != status:
            assert time.monotonic() < limit_s, answer
            time.sleep(0.02)
        return json.loads(answer[1])

    def metric(self, name: str, **labels: str) -> float | None:
        """Return a number of ``/metrics``."""
        return metric_in(self.get("/metrics")[1], name, labels)

    def _read(self) -> None:
        assert self._process.stderr is not None
        for raw in self._process.stderr:
            with self._changed:
                self.output.append(raw.decode())
                try:
                    self.lines.append(json.loads(raw))
                except ValueError:
                    self.lines.append({"event": raw.decode()})
                self._changed.notify_all()
