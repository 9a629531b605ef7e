"""What a measurement sends, and what has to come of it."""

import base64
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tracker import JobStatus, NewJob, NewTask

KAFKA_PARTITIONS = 8
PARTITION_ID = "bench"
MESSAGE_BYTES = 808

_NUMBER_AT = len('{"version":3,"taskId":"00000000-0000-4000-8000-')
_NUMBER_DIGITS = 12


@dataclass(frozen=True)
class Topics:
    """The topics of one measurement. All names are of the same length in each."""

    tracking: str
    start: str  # where the tracker sends the message that starts a job
    destination: str  # where all messages go
    later: str  # where tracking ends that does not end at the destination
    dead_letters: str

    @classmethod
    def of(cls, prefix: str) -> "Topics":
        """Return topics whose names begin with `prefix`."""
        return cls(*(f"{prefix}-{name}" for name in ("tracking", "start", "work", "later", "dead")))

    def all(self) -> list[str]:
        """Return all of them."""
        return [self.tracking, self.start, self.destination, self.later, self.dead_letters]


class Load(NamedTuple):
    """A message that is to be laid ready."""

    kafka_partition: int
    key: bytes
    value: bytes


class Workload:
    """Messages on the tasks of jobs of the same size, all jobs at once: task 1 of each, task 2 of each...

    The n-th message of the workload is number n, which stands in its `taskId`. With `completes`, each
    completes its task, and the last completes the job. Otherwise tracking ends at a later topic: the tasks
    are in progress. Jobs are dealt to the Kafka partitions in turn: many hash evenly by their key, a few
    would not.
    """

    def __init__(
        self, topics: Topics, *, jobs: int, tasks: int, completes: bool, seed: int, prefix: str = "job"
    ) -> None:
        self.size = jobs * tasks
        self.expected_status = JobStatus.COMPLETED if completes else JobStatus.WAITING
        self.job_ids = [f"{prefix}-{number:06d}" for number in range(jobs)]
        self._tasks = tasks
        self._topics = topics
        self._completes = completes
        self._templates = [self._template(job_id, seed) for job_id in self.job_ids]
        self._keys = [f"{PARTITION_ID}:{job_id}".encode() for job_id in self.job_ids]

    def jobs(self) -> list[NewJob]:
        """Return the jobs to submit."""
        task = NewTask(
            task_classifier="DocumentWorker",
            task_api_version=1,
            task_data={},
            task_pipe=self._topics.start,
            target_pipe=self._topics.destination if self._completes else self._topics.later,
        )
        return [NewJob(partition_id=PARTITION_ID, id=job_id, task=task) for job_id in self.job_ids]

    def messages(self) -> Iterator[Load]:
        """Return the messages, in their order."""
        number = 0
        each_job = [
            (place % KAFKA_PARTITIONS, key, template)
            for place, (key, template) in enumerate(zip(self._keys, self._templates, strict=True))
        ]
        for task in range(1, self._tasks + 1):
            index = self._index(task)
            for kafka_partition, key, template in each_job:
                yield Load(kafka_partition, key, template % (number, index))
                number += 1

    def sent(self, number: int) -> tuple[bytes, bytes]:
        """Return key and value of a message as it is laid ready."""
        task, place = divmod(number, len(self.job_ids))
        return self._keys[place], self._templates[place] % (number, self._index(task + 1))

    def forwarded(self, number: int) -> tuple[bytes, bytes]:
        """Return key and value of a message as the tracker has to forward it."""
        key, value = self.sent(number)
        if self._completes:
            start = value.index(b'"tracking":') + len(b'"tracking":')
            value = value[:start] + b"null" + value[value.index(b"}", start) + 1 :]
        return key, value

    def _index(self, task: int) -> bytes:
        return b"%d*" % task if task == self._tasks else b"%d" % task

    def _template(self, job_id: str, seed: int) -> bytes:
        """Return a job's message, with places for the message's number and for the task's index."""
        number_place, index_place = "1" * _NUMBER_DIGITS, "#INDEX#"
        message = {
            "version": 3,
            "taskId": f"00000000-0000-4000-8000-{number_place}",
            "taskClassifier": "DocumentWorker",
            "taskApiVersion": 1,
            "taskData": "",
            "taskStatus": "RESULT_SUCCESS",
            "context": {},
            "to": self._topics.destination,
            "tracking": {
                "jobTaskId": f"{PARTITION_ID}:{job_id}.{index_place}",
                "lastStatusCheckTime": 1_700_000_000_000,
                "statusCheckIntervalMillis": 5000,
                "statusCheckUrl": f"http://jobs:8080/v1/partitions/{PARTITION_ID}/jobs/{job_id}/status",
                "trackingPipe": self._topics.tracking,
                "trackTo": self._topics.destination if self._completes else self._topics.later,
            },
            "sourceInfo": {"name": "worker-document", "version": "7.1.0"},
            "priority": None,
            "correlationId": None,
        }
        room = MESSAGE_BYTES - len(_compact(message))
        data = random.Random(f"{seed} {job_id}").randbytes(max(0, room) * 3 // 4)
        message["taskData"] = base64.b64encode(data).decode()
        text = _compact(message).replace(number_place, "%012d", 1).replace(index_place, "%b", 1)
        return text.encode()


def number_of(value: bytes) -> int:
    """Return the number of a message."""
    return int(value[_NUMBER_AT : _NUMBER_AT + _NUMBER_DIGITS])


def _compact(message: dict[str, object]) -> str:
    return json.dumps(message, separators=(",", ":"))
