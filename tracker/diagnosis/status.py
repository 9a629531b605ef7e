"""What `tracker status` answers: what runs, how far it is, and what needs a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tracker.jobs.job import JobCount
from tracker.store.status_store import DatabaseFigures, DueJob, WorkerRow

NOT_ASKED = "not-asked"
"""The code of what could not be asked. It needs no person by itself: the user may lack a right."""


class Problem(NamedTuple):
    """Something that needs a person: a sentence, and what could be typed; None: nothing in general."""

    code: str
    text: str
    command: str | None = None


class KafkaPartitionStatus(NamedTuple):
    """The lag of a Kafka partition, and the member that reads it. None: it is not known, or there is none."""

    topic: str
    kafka_partition: int
    lag_records: int
    lag_s: float | None
    member: str | None


class LetterCounts(NamedTuple):
    """How many dead letters are open, and how many came in the last hour; of the newest, if not of all."""

    open: int
    last_hour: int
    is_complete: bool


@dataclass
class Status:
    """What was found at one look. What could not be asked is None, and a problem says why."""

    as_of_ms: int
    problems: list[Problem] = field(default_factory=list)
    workers: Sequence[WorkerRow] | None = None
    scheduler_active: bool | None = None
    kafka_partitions: Sequence[KafkaPartitionStatus] | None = None
    missing_topics: Sequence[str] = ()
    due_was_asked: bool = False
    oldest_due: DueJob | None = None
    letters: LetterCounts | None = None
    jobs: Mapping[str, JobCount] | None = None
    database: DatabaseFigures | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing needs a person."""
        return all(problem.code == NOT_ASKED for problem in self.problems)

    @property
    def members(self) -> int | None:
        """How many worker processes there are."""
        return None if self.workers is None else len(self.workers)

    @property
    def workers_ready(self) -> int | None:
        """How many of them are ready."""
        return None if self.workers is None else sum(worker.ready for worker in self.workers)

    @property
    def records_per_second(self) -> float | None:
        """How many records all of them have recorded in a second."""
        return None if self.workers is None else sum(each.records_per_second for each in self.workers)

    @property
    def slowest_stage(self) -> str | None:
        """The stage in which batches were the longest; None: there was none."""
        seconds: dict[str, float] = {}
        for worker in self.workers or ():
            for stage, each in worker.stage_seconds.items():
                seconds[stage] = seconds.get(stage, 0.0) + each
        slowest = max(seconds, key=seconds.__getitem__, default="")
        return slowest if seconds.get(slowest) else None

    def as_json(self) -> dict[str, Any]:
        """Return the fields that programs read."""
        letters, figures = self.letters, self.database
        return {
            "ok": self.ok,
            "problems": [problem._asdict() for problem in self.problems],
            "members": self.members,
            "workersReady": self.workers_ready,
            "schedulerActive": self.scheduler_active,
            "kafkaPartitions": [
                {
                    "topic": each.topic,
                    "kafkaPartition": each.kafka_partition,
                    "lagRecords": each.lag_records,
                    "lagSeconds": each.lag_s,
                    "member": each.member,
                }
                for each in self.kafka_partitions or ()
            ],
            "recordsPerSecond": self.records_per_second,
            "slowestStage": self.slowest_stage,
            "oldestDueSeconds": self.oldest_due and self.oldest_due.due_s,
            "deadLetters": letters
            and {"open": letters.open, "lastHour": letters.last_hour}
            | ({} if letters.is_complete else {"openAtLeast": True}),
            "jobs": self.jobs and {status: found.count for status, found in self.jobs.items()},
            "database": figures
            and {
                "sizeBytes": figures.size_bytes,
                "deadRows": figures.dead_rows,
                "oldestTransactionSeconds": figures.oldest_transaction_s,
            },
            "asOf": self.as_of_ms,
        }
