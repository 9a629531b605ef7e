"""Many messages of a few jobs, and whether each came to its destination once, in the order of its job."""

import json
from collections.abc import Iterator

from tests.support.deployment import ACME, Deployment
from tests.support.records import Record

_NUMBER = "000000000000"  # its place in a message


class Load:
    """Each message completes a task, the last of a job its job; in turn from all jobs.

    Every third stays in the workers' topic and its task in progress: it is followed by the one that ends it.
    """

    def __init__(self, deployment: Deployment, *, jobs: int, messages: int) -> None:
        self._deployment = deployment
        self.jobs = [f"load-{number}" for number in range(jobs)]
        self.messages = messages
        self._tasks = messages // jobs
        assert self._tasks * jobs == messages
        self._templates = [self._template(job) for job in self.jobs]

    def submit(self) -> None:
        """Create the jobs."""
        self._deployment.client.submit([self._deployment.job(job) for job in self.jobs])

    def records(self, first: int = 0, end: int | None = None) -> Iterator[Record]:
        """Make messages from number `first` to the one before `end`."""
        for number in range(first, self.messages if end is None else end):
            task, job = divmod(number, len(self.jobs))
            index = b"%d*" % (task + 1) if task + 1 == self._tasks else b"%d" % (task + 1)
            value = self._templates[job] % (b"%012d" % number, index)
            yield Record("", f"{ACME}:{self.jobs[job]}".encode(), value, (("n", b"%d" % number),))

    def send(self, first: int = 0, end: int | None = None) -> None:
        """Lay messages ready."""
        self._deployment.kafka.send(self.records(first, end), self._deployment.topics.tracking)

    def check(self) -> None:
        """Fail unless all jobs have completed and each message is at its destination, once and in order."""
        deployment = self._deployment
        assert deployment.client.count(status="Completed", prefix="load-") == len(self.jobs)
        seen = bytearray(self.messages)
        last = [-1] * len(self.jobs)
        for received in deployment.kafka.each(deployment.topics.results):
            number = int(received.header("n") or -1)
            job = number % len(self.jobs)
            assert last[job] < number, f"message {number} after {last[job]} of its job, or twice"
            last[job] = number
            seen[number] += 1
            assert received.json["taskId"] == f"{number:012d}"
            assert received.json["tracking"] is None
        assert seen.count(1) == self.messages, f"{seen.count(0)} are missing"
        assert deployment.dead_letters() == []

    def _template(self, job: str) -> bytes:
        task = f"{ACME}:{job}.INDEX"
        value = self._deployment.message(task, taskId=_NUMBER, realistic=True).value or b""
        assert json.loads(value)["taskId"] == _NUMBER
        return value.replace(b"%", b"%%").replace(_NUMBER.encode(), b"%b", 1).replace(b"INDEX", b"%b", 1)
