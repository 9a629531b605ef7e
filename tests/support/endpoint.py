"""What a running `tracker run` answers over HTTP."""

import http.client
import json
from typing import Any, NamedTuple

from tests.support.kafka import DEADLINE_S, wait_until
from tests.support.metrics import metric_in
from tests.support.program import Program


class Readiness(NamedTuple):
    """An answer of ``/readyz``."""

    status: int
    missing: dict[str, str]
    degraded: dict[str, str]

    @property
    def complaint(self) -> str:
        """What it says of the first worker."""
        return (self.missing | self.degraded).get("worker-0", "")


class Endpoint:
    """The HTTP endpoint of a program that was started with ``TRACKER_HTTP_PORT=0``."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._port = int(program.wait_for("serving HTTP")["port"])

    def get(self, path: str) -> tuple[int, str]:
        """Ask."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=DEADLINE_S)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def readiness(self) -> Readiness:
        """Return what ``/readyz`` says."""
        status, text = self.get("/readyz")
        content: dict[str, Any] = json.loads(text)
        assert content["ready"] is (status == 200)
        return Readiness(status, content["missing"], content["degraded"])

    def wait_until_ready(self) -> None:
        """Wait until it is, and has nothing to complain of."""
        wait_until(lambda: self.readiness() == (200, {}, {}), "a tracker that is ready")

    def wait_for(self, status: int, *words: str) -> Readiness:
        """Wait until it answers with this status, and with these words about the first worker."""
        found: list[Readiness] = []

        def does() -> bool:
            found.append(self.readiness())
            return found[-1].status == status and all(word in found[-1].complaint for word in words)

        wait_until(does, f"{status} with {words}")
        return found[-1]

    def metric(self, name: str, **labels: str) -> float | None:
        """Return a number of ``/metrics``."""
        return metric_in(self.get("/metrics")[1], name, labels)

    def waits_for(self, cause: str) -> bool:
        """Whether the metric says that the first worker waits for this."""
        return self.metric("tracker_waiting", process="worker-0", cause=cause) == 1

    def wait_for_log(self, complaint: str) -> None:
        """Wait until the log has what ``/readyz`` said of the first worker: they come by two pipes."""
        event, _, reason = complaint.partition(": ")
        self.program.wait_for(event, reason=reason, process="worker-0")
