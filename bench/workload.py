"""What a measurement sends, and what has to come of it."""

import base64
import json
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tracker import JobStatus, NewJob, NewTask

KAFKA_PARTITIONS = 8
PARTITION_ID = "bench"
MESSAGE_BYTES = 808

_NUMBER_AT = len('{"version":3,"taskId":"00000000-0000-4000-8000-')
_NUMBER_DIGITS = 12
_TEMPLATES = 64  # with different data; a job for each would take 100 MB at 100,000 jobs


@dataclass(frozen=True)
class Topics:
    """The topics of one measurement. All names are of the same length in each."""

    tracking: str
    start: str  # where the tracker sends the message that starts a job
    destination: str  # where all messages go
    later: str  # where tracking ends that does not end at the destination
    dead_letters: str
    partitions: int = KAFKA_PARTITIONS  # of the tracking topic and of the destination

    @classmethod
    def of(cls, prefix: str, partitions: int = KAFKA_PARTITIONS) -> "Topics":
        """Return topics whose names begin with `prefix`."""
        tracking, start, work, later, dead = (
            f"{prefix}-{name}" for name in ("tracking", "start", "work", "later", "dead")
        )
        return cls(tracking, start, work, later, dead, partitions)


class Load(NamedTuple):
    """A message that is to be laid ready."""

    kafka_partition: int
    key: bytes
    value: bytes


@dataclass(frozen=True)
class Size:
    """How much a workload is to be: about so many messages, made from this seed, of jobs with this prefix."""

    messages: int
    seed: int = 1
    prefix: str = "job"


class Workload(ABC):
    """Messages on the tasks of jobs. Number n of them has n in its `taskId`.

    Jobs are dealt to the Kafka partitions in turn: many hash evenly by their key, a few would not. `units`
    is what is counted, messages or the reports in them, and `unit` its name.
    """

    unit = "messages"
    units_a_message = 1

    def __init__(self, topics: Topics, job_ids: Sequence[str], messages: int) -> None:
        self.topics = topics
        self.job_ids = job_ids
        self.size = messages
        self.expected_status = JobStatus.COMPLETED
        self.expected_percentage = 100.0
        self._keys = [f"{PARTITION_ID}:{job_id}".encode() for job_id in job_ids]

    @property
    def units(self) -> int:
        """How many messages, or reports, there are in all."""
        return self.size * self.units_a_message

    @property
    def target_pipe(self) -> str:
        """Where the jobs' tracking ends."""
        return self.topics.destination

    def jobs(self) -> list[NewJob]:
        """Return the jobs to submit."""
        task = start_task(self.topics, self.target_pipe)
        return [NewJob(partition_id=PARTITION_ID, id=job_id, task=task) for job_id in self.job_ids]

    def messages(self) -> Iterator[Load]:
        """Return the messages, in their order."""
        partitions = self.topics.partitions
        for number in range(self.size):
            job, value = self._message(number)
            yield Load(job % partitions, self._keys[job], value)

    def sent(self, number: int) -> tuple[bytes, bytes]:
        """Return key and value of a message as it is laid ready."""
        job, value = self._message(number)
        return self._keys[job], value

    def forwarded(self, number: int) -> tuple[bytes, bytes]:
        """Return key and value of a message as the tracker has to forward it."""
        key, value = self.sent(number)
        return key, ended(value)

    @property
    def forwarded_count(self) -> int:
        """How many of the messages the tracker has to forward: all, or none."""
        return self.size

    @abstractmethod
    def _message(self, number: int) -> tuple[int, bytes]:
        """Return which job a message is of, and its value."""


class Envelope:
    """Makes task messages, as workers send them when they are done with a task.

    With `completes`, tracking ends where the message goes; otherwise later: the task is in progress. With
    `failed`, the task has failed.
    """

    def __init__(self, topics: Topics, seed: int, *, completes: bool = True, failed: bool = False) -> None:
        self._failed = failed
        self._topics = topics
        self._seed = seed
        self._completes = completes
        self._templates = [self._template(variant) for variant in range(_TEMPLATES)]

    def message(self, number: int, job: int, job_id: str, path: bytes) -> bytes:
        """Return message `number`, on the task at `path` (with its marks) of the job."""
        name = job_id.encode()
        return self._templates[job % _TEMPLATES] % (number, name, path, name)

    def _template(self, variant: int) -> bytes:
        job_place, path_place = "#JOB-000000#", "#PATH#"
        tracking = {
            "jobTaskId": f"{PARTITION_ID}:{job_place}.{path_place}",
            "lastStatusCheckTime": 1_700_000_000_000,
            "statusCheckIntervalMillis": 5000,
            "statusCheckUrl": f"http://jobs:8080/v1/partitions/{PARTITION_ID}/jobs/{job_place}/status",
            "trackingPipe": self._topics.tracking,
            "trackTo": self._topics.destination if self._completes else self._topics.later,
        }
        to = self._topics.destination
        room = MESSAGE_BYTES - len(_compact(envelope_fields("", to, tracking)))
        data = random.Random(f"{self._seed} {variant}").randbytes(max(0, room) * 3 // 4)
        if self._failed:
            data = b"out of memory "  # the data says why, and must be text
        text = _compact(envelope_fields(base64.b64encode(data).decode(), to, tracking))
        if self._failed:
            text = text.replace('"RESULT_SUCCESS"', '"RESULT_EXCEPTION"')
        text = text.replace(NUMBER_PLACE, "%012d", 1).replace(job_place, "%b").replace(path_place, "%b", 1)
        return text.encode()


NUMBER_PLACE = "1" * _NUMBER_DIGITS


def envelope_fields(task_data: str, to: str, tracking: dict[str, Any] | None) -> dict[str, object]:
    """Return a task message's fields; `NUMBER_PLACE` stands where its number goes."""
    return {
        "version": 3,
        "taskId": f"00000000-0000-4000-8000-{NUMBER_PLACE}",
        "taskClassifier": "DocumentWorker",
        "taskApiVersion": 1,
        "taskData": task_data,
        "taskStatus": "RESULT_SUCCESS",
        "context": {},
        "to": to,
        "tracking": tracking,
        "sourceInfo": {"name": "worker-document", "version": "7.1.0"},
        "priority": None,
        "correlationId": None,
    }


def start_task(topics: Topics, target_pipe: str) -> NewTask:
    """Return the task that starts a job."""
    return NewTask(
        task_classifier="DocumentWorker",
        task_api_version=1,
        task_data={},
        task_pipe=topics.start,
        target_pipe=target_pipe,
    )


class TasksInTurn(Workload):
    """Jobs of the same number of tasks, all at once: task 1 of each, task 2 of each, and so on.

    Each message completes its task, and the last its job. With `in_progress` instead, tracking ends at a
    later topic. `shuffled` brings them in any order.
    """

    def __init__(
        self, topics: Topics, size: Size, *, jobs: int, in_progress: bool = False, shuffled: bool = False
    ) -> None:
        self._tasks = max(1, round(size.messages / jobs))
        job_ids = [f"{size.prefix}-{number:06d}" for number in range(jobs)]
        super().__init__(topics, job_ids, jobs * self._tasks)
        self._in_progress = in_progress
        if in_progress:
            self.expected_status, self.expected_percentage = JobStatus.WAITING, 0.0
        self._envelope = Envelope(topics, size.seed, completes=not in_progress)
        self._order = _shuffled(self.size, size.seed) if shuffled else None

    @property
    def target_pipe(self) -> str:
        return self.topics.later if self._in_progress else self.topics.destination

    def forwarded(self, number: int) -> tuple[bytes, bytes]:
        return self.sent(number) if self._in_progress else super().forwarded(number)

    def _message(self, number: int) -> tuple[int, bytes]:
        place = number if self._order is None else self._order[number]
        task, job = divmod(place, len(self.job_ids))
        path = indexed(task + 1, self._tasks)
        return job, self._envelope.message(number, job, self.job_ids[job], path)


class FirstTasks(Workload):
    """As many jobs as messages: each completes the first task of its job, and more are to come."""

    def __init__(self, topics: Topics, size: Size) -> None:
        super().__init__(topics, [f"{size.prefix}-{n:06d}" for n in range(size.messages)], size.messages)
        self.expected_status, self.expected_percentage = JobStatus.ACTIVE, 50.0
        self._envelope = Envelope(topics, size.seed)

    def _message(self, number: int) -> tuple[int, bytes]:
        return number, self._envelope.message(number, number, self.job_ids[number], b"1")


class Tree(Workload):
    """One job of three levels, each task of which has `side` children. Only the leaves are reported."""

    def __init__(self, topics: Topics, size: Size, *, shuffled: bool = False) -> None:
        self.side = max(1, round(size.messages ** (1 / 3)))
        super().__init__(topics, [f"{size.prefix}-000000"], self.side**3)
        self._envelope = Envelope(topics, size.seed)
        self._order = _shuffled(self.size, size.seed) if shuffled else None

    def _message(self, number: int) -> tuple[int, bytes]:
        place = number if self._order is None else self._order[number]
        side = self.side
        steps = (place // (side * side), place // side % side, place % side)
        path = b".".join(indexed(step + 1, side) for step in steps)
        return 0, self._envelope.message(number, 0, self.job_ids[0], path)


class Events(Workload):
    """Events with 100 reports each, which complete the tasks of jobs. None of them is forwarded."""

    unit = "reports"
    units_a_message = 100

    def __init__(self, topics: Topics, size: Size, *, jobs: int) -> None:
        self._events = max(1, round(size.messages / jobs / self.units_a_message))  # a job
        job_ids = [f"{size.prefix}-{number:06d}" for number in range(jobs)]
        super().__init__(topics, job_ids, jobs * self._events)
        text = _compact(envelope_fields("#DATA#", topics.tracking, None))
        text = text.replace('"DocumentWorker"', '"TrackingReportTask"')
        self._template = text.replace(NUMBER_PLACE, "%012d", 1).replace("#DATA#", "%b", 1).encode()

    @property
    def forwarded_count(self) -> int:
        return 0

    def _message(self, number: int) -> tuple[int, bytes]:
        event, job = divmod(number, len(self.job_ids))
        name = f"{PARTITION_ID}:{self.job_ids[job]}"
        first, tasks = event * self.units_a_message + 1, self._events * self.units_a_message
        reports = [
            {"jobTaskId": f"{name}.{indexed(task, tasks).decode()}", "status": "Complete"}
            for task in range(first, first + self.units_a_message)
        ]
        data = base64.b64encode(_compact({"trackingReports": reports}).encode())
        return job, self._template % (number, data)


def indexed(index: int, last: int) -> bytes:
    """Return one level of a task's path, marked where it is the last."""
    return b"%d*" % index if index == last else b"%d" % index


def number_of(value: bytes) -> int:
    """Return the number of a message."""
    return int(value[_NUMBER_AT : _NUMBER_AT + _NUMBER_DIGITS])


def ended(value: bytes) -> bytes:
    """Return a message as it is forwarded where its tracking ends."""
    start = value.index(b'"tracking":') + len(b'"tracking":')
    return value[:start] + b"null" + value[value.index(b"}", start) + 1 :]


def _shuffled(size: int, seed: int) -> list[int]:
    order = list(range(size))
    random.Random(f"{seed} order").shuffle(order)
    return order


def _compact(message: dict[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"))
