"""The messages of a measurement, and their expected results."""

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
_TEMPLATES = 64  # with different data; one for each job would take 100 MB for 100,000 jobs


@dataclass(frozen=True)
class Topics:
    """The topics of one measurement. In all measurements, names have the same length."""

    tracking: str
    start: str  # where the tracker sends the first message of a job
    destination: str  # of all messages
    later: str  # where tracking ends for tasks in progress
    dead_letters: str
    kafka_partitions: int = KAFKA_PARTITIONS  # of the tracking topic and of the destination

    @classmethod
    def of(cls, prefix: str, kafka_partitions: int = KAFKA_PARTITIONS) -> "Topics":
        """Return topics whose names begin with `prefix`."""
        tracking, start, work, later, dead = (
            f"{prefix}-{name}" for name in ("tracking", "start", "work", "later", "dead")
        )
        return cls(tracking, start, work, later, dead, kafka_partitions)


class ProducerRecord(NamedTuple):
    """A message to send to the tracking topic."""

    kafka_partition: int
    key: bytes
    value: bytes


@dataclass(frozen=True)
class Size:
    """The size of a workload: about how many messages, their seed, and the prefix of its job IDs."""

    messages: int
    seed: int = 1
    prefix: str = "job"


class Workload(ABC):
    """Messages on the tasks of jobs. Message n has n in its `taskId`.

    Jobs are assigned to the Kafka partitions in turn, because the keys of a few jobs do not hash evenly.
    `units` counts messages, or the reports in them; `unit` says which.
    """

    unit = "messages"
    units_per_message = 1

    def __init__(self, topics: Topics, job_ids: Sequence[str], messages: int) -> None:
        self.topics = topics
        self.job_ids = job_ids
        self.size = messages
        self.expected_status = JobStatus.COMPLETED
        self.expected_percentage = 100.0
        self._keys = [f"{PARTITION_ID}:{job_id}".encode() for job_id in job_ids]

    @property
    def units(self) -> int:
        """The number of messages, or reports."""
        return self.size * self.units_per_message

    @property
    def target_pipe(self) -> str:
        """The topic at which the jobs' tracking ends."""
        return self.topics.destination

    def jobs(self) -> list[NewJob]:
        """Return the jobs to submit."""
        task = start_task(self.topics, self.target_pipe)
        return [NewJob(partition_id=PARTITION_ID, id=job_id, task=task) for job_id in self.job_ids]

    def messages(self) -> Iterator[ProducerRecord]:
        """Yield the messages in order."""
        kafka_partitions = self.topics.kafka_partitions
        for number in range(self.size):
            job, value = self._message(number)
            yield ProducerRecord(job % kafka_partitions, self._keys[job], value)

    def sent(self, number: int) -> tuple[bytes, bytes]:
        """Return key and value of a message as it is sent."""
        job, value = self._message(number)
        return self._keys[job], value

    def forwarded(self, number: int) -> tuple[bytes, bytes]:
        """Return key and value of a message as the tracker must forward it."""
        key, value = self.sent(number)
        return key, untracked(value)

    @property
    def forwarded_count(self) -> int:
        """How many of the messages the tracker must forward: all, or none."""
        return self.size

    @abstractmethod
    def _message(self, number: int) -> tuple[int, bytes]:
        """Return the number of a message's job, and its value."""


class TaskMessageFactory:
    """Makes task messages, as workers send them at the end of a task.

    With `completes`, tracking ends at the destination; otherwise it ends later, so the task is in progress.
    With `failed`, the task has failed.
    """

    def __init__(self, topics: Topics, seed: int, *, completes: bool = True, failed: bool = False) -> None:
        self._failed = failed
        self._topics = topics
        self._seed = seed
        self._completes = completes
        self._templates = [self._template(variant) for variant in range(_TEMPLATES)]

    def message(self, number: int, job: int, job_id: str, path: bytes) -> bytes:
        """Return message `number`, on the job's task at `path`, which includes the marks of last tasks."""
        name = job_id.encode()
        return self._templates[job % _TEMPLATES] % (number, name, path, name)

    def _template(self, variant: int) -> bytes:
        job_placeholder, path_placeholder = "#JOB-000000#", "#PATH#"
        tracking = {
            "jobTaskId": f"{PARTITION_ID}:{job_placeholder}.{path_placeholder}",
            "lastStatusCheckTime": 1_700_000_000_000,
            "statusCheckIntervalMillis": 5000,
            "statusCheckUrl": f"http://jobs:8080/v1/partitions/{PARTITION_ID}/jobs/{job_placeholder}/status",
            "trackingPipe": self._topics.tracking,
            "trackTo": self._topics.destination if self._completes else self._topics.later,
        }
        to = self._topics.destination
        room = MESSAGE_BYTES - len(_compact(task_message_fields("", to, tracking)))
        data = random.Random(f"{self._seed} {variant}").randbytes(max(0, room) * 3 // 4)
        if self._failed:
            data = b"out of memory "  # the reason, which must be text
        text = _compact(task_message_fields(base64.b64encode(data).decode(), to, tracking))
        if self._failed:
            text = text.replace('"RESULT_SUCCESS"', '"RESULT_EXCEPTION"')
        text = (
            text.replace(NUMBER_PLACEHOLDER, "%012d", 1)
            .replace(job_placeholder, "%b")
            .replace(path_placeholder, "%b", 1)
        )
        return text.encode()


NUMBER_PLACEHOLDER = "1" * _NUMBER_DIGITS


def task_message_fields(task_data: str, to: str, tracking: dict[str, Any] | None) -> dict[str, object]:
    """Return the fields of a task message, with `NUMBER_PLACEHOLDER` for its number."""
    return {
        "version": 3,
        "taskId": f"00000000-0000-4000-8000-{NUMBER_PLACEHOLDER}",
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
    """Return the first task message of a job."""
    return NewTask(
        task_classifier="DocumentWorker",
        task_api_version=1,
        task_data={},
        task_pipe=topics.start,
        target_pipe=target_pipe,
    )


class TasksInTurn(Workload):
    """Jobs with equally many tasks, in turn: task 1 of each job, task 2 of each, and so on.

    Each message completes its task, and the last one its job; with `in_progress`, the tasks are in progress
    instead. With `shuffled`, the messages are in random order.
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
        self._factory = TaskMessageFactory(topics, size.seed, completes=not in_progress)
        self._order = _shuffled(self.size, size.seed) if shuffled else None

    @property
    def target_pipe(self) -> str:
        return self.topics.later if self._in_progress else self.topics.destination

    def forwarded(self, number: int) -> tuple[bytes, bytes]:
        return self.sent(number) if self._in_progress else super().forwarded(number)

    def _message(self, number: int) -> tuple[int, bytes]:
        index = number if self._order is None else self._order[number]
        task, job = divmod(index, len(self.job_ids))
        path = indexed(task + 1, self._tasks)
        return job, self._factory.message(number, job, self.job_ids[job], path)


class FirstTasks(Workload):
    """As many jobs as messages: each message completes the first task of its job, which will have more."""

    def __init__(self, topics: Topics, size: Size) -> None:
        super().__init__(topics, [f"{size.prefix}-{n:06d}" for n in range(size.messages)], size.messages)
        self.expected_status, self.expected_percentage = JobStatus.ACTIVE, 50.0
        self._factory = TaskMessageFactory(topics, size.seed)

    def _message(self, number: int) -> tuple[int, bytes]:
        return number, self._factory.message(number, number, self.job_ids[number], b"1")


def only_tasks(topics: Topics, size: Size) -> Workload:
    """Return messages that each complete the only task of another job."""
    return TasksInTurn(topics, size, jobs=size.messages)


class Tree(Workload):
    """One job with three levels, in which each task has `side` children. Only the leaves are reported."""

    def __init__(self, topics: Topics, size: Size, *, shuffled: bool = False) -> None:
        self.side = max(1, round(size.messages ** (1 / 3)))
        super().__init__(topics, [f"{size.prefix}-000000"], self.side**3)
        self._factory = TaskMessageFactory(topics, size.seed)
        self._order = _shuffled(self.size, size.seed) if shuffled else None

    def _message(self, number: int) -> tuple[int, bytes]:
        index = number if self._order is None else self._order[number]
        side = self.side
        steps = (index // (side * side), index // side % side, index % side)
        path = b".".join(indexed(step + 1, side) for step in steps)
        return 0, self._factory.message(number, 0, self.job_ids[0], path)


class Events(Workload):
    """Events of 100 reports each, which complete the tasks of jobs. They are not forwarded."""

    unit = "reports"
    units_per_message = 100

    def __init__(self, topics: Topics, size: Size, *, jobs: int) -> None:
        self._events = max(1, round(size.messages / jobs / self.units_per_message))  # per job
        job_ids = [f"{size.prefix}-{number:06d}" for number in range(jobs)]
        super().__init__(topics, job_ids, jobs * self._events)
        text = _compact(task_message_fields("#DATA#", topics.tracking, None))
        text = text.replace('"DocumentWorker"', '"TrackingReportTask"')
        self._template = text.replace(NUMBER_PLACEHOLDER, "%012d", 1).replace("#DATA#", "%b", 1).encode()

    @property
    def forwarded_count(self) -> int:
        return 0

    def _message(self, number: int) -> tuple[int, bytes]:
        event, job = divmod(number, len(self.job_ids))
        name = f"{PARTITION_ID}:{self.job_ids[job]}"
        first, tasks = event * self.units_per_message + 1, self._events * self.units_per_message
        reports = [
            {"jobTaskId": f"{name}.{indexed(task, tasks).decode()}", "status": "Complete"}
            for task in range(first, first + self.units_per_message)
        ]
        data = base64.b64encode(_compact({"trackingReports": reports}).encode())
        return job, self._template % (number, data)


def indexed(index: int, last: int) -> bytes:
    """Return one level of a task's path, with a mark if the task is the last of its level."""
    return b"%d*" % index if index == last else b"%d" % index


def number_of(value: bytes) -> int:
    """Return the number of a message."""
    return int(value[_NUMBER_AT : _NUMBER_AT + _NUMBER_DIGITS])


def untracked(value: bytes) -> bytes:
    """Return a message as it is forwarded at the end of tracking."""
    start = value.index(b'"tracking":') + len(b'"tracking":')
    return value[:start] + b"null" + value[value.index(b"}", start) + 1 :]


def _shuffled(size: int, seed: int) -> list[int]:
    order = list(range(size))
    random.Random(f"{seed} order").shuffle(order)
    return order


def _compact(message: dict[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"))
