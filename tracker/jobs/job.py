"""Jobs as users see them: what they submit, and what they are shown.

Field names in JSON are the camel case of the names here, without their units.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import Any

import msgspec

from tracker.job_status import JobStatus
from tracker.json_lines import on_one_line


# gc=False: the garbage collector need not visit these two, because they cannot be part of a cycle. To visit
# 100,000 of them takes as long as all the checks.
class NewTask(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, gc=False
):
    """The task message that starts a job."""

    task_classifier: str
    task_api_version: int
    # A mapping is sent as its JSON. A string is sent as it is, or decoded, as `task_data_encoding` says: give
    # JSON text that must be sent byte for byte as a string.
    task_data: Mapping[str, Any] | str
    task_data_encoding: str | None = None  # utf8, which is also the default, or base64
    task_pipe: str  # the topic that it is sent to
    target_pipe: str | None = None  # the topic at which tracking ends


class NewJob(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, gc=False):
    """A job to submit; None in an optional field is the same as leaving the field out."""

    id: str
    task: NewTask | Mapping[str, Any]  # a mapping has the fields of a task's JSON
    partition_id: str | None = None  # default
    name: str | None = None
    description: str | None = None
    external_data: str | None = None
    labels: Mapping[str, str | None] | None = None
    # Of the same partition ID; one with ",pc" counts as completed if it does not exist.
    prerequisite_job_ids: Sequence[str] | AbstractSet[str] | None = None
    delay: int | None = None  # seconds, from when it could otherwise be sent


class _Named(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something with a job's name: ``str()`` gives ``partitionId:jobId``, and every verb takes it as that."""

    partition_id: str
    id: str

    def __str__(self) -> str:
        return f"{self.partition_id}:{self.id}"


class SubmittedJob(_Named, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A job of a submit, which is now stored."""

    created: bool  # False: it was stored already, with the same content
    warnings: tuple[str, ...] = ()  # why it may never run, as "waits for acme:tpyo, which does not exist"


class ChangedJob(_Named, frozen=True, kw_only=True, rename="camel"):
    """A job that was cancelled, paused, resumed or deleted."""

    changed: bool  # False: it was in that state already
    dropped_messages: int = 0  # held messages, which are now not sent


class ChangedPrerequisites(_Named, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A job for which somebody has changed what it waits for."""

    added: list[str]  # job IDs; without those that it waited for before, and those that have completed
    removed: list[str]  # job IDs; without those that it did not wait for
    unmet: int  # how many jobs it waits for now
    warnings: tuple[str, ...] = ()  # as "waits for acme:tpyo, which does not exist"


class ChangeCount(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the jobs that match a filter, when all of them were to be changed."""

    matched: int
    changed: int
    skipped: int  # their status does not allow it, or they were in that state already


class TaskFailure(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Why a task failed."""

    job_task_id: str
    failure_id: str
    failure_time_ms: int = msgspec.field(name="failureTime")  # since 1970
    failure_source: str
    failure_message: str


class RootFailure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a job failed that never ran: a job that it waited for, directly or not, has failed."""

    root_failure: str  # partitionId:jobId
    failure_details: list[dict[str, Any]]


class MissingState(StrEnum):
    """Why tasks have not completed."""

    MISSING = "missing"  # nothing was ever written about them
    ACTIVE = "active"  # progress was reported
    FAILED = "failed"
    UNKNOWN = "unknown"  # nobody knows whether they exist: no last child was marked


class MissingTasks(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Neighbouring subtasks of one task that have not completed, and have no subtasks of their own."""

    parent: str | None  # its jobTaskId; None, like `first` and `last`: the job itself has no subtasks
    first: int | None
    last: int | None  # None: not known
    count: int | None  # None: not known
    state: MissingState


class MissingCount(msgspec.Struct, frozen=True, rename="camel"):
    """How many tasks have not completed, of those in one state."""

    state: MissingState
    count: int | None  # None: not known


class Job(_Named, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A stored job, as it was when it was read."""

    name: str  # empty where it is null; so are the next two, and a label's value
    description: str
    external_data: str
    create_time_ms: int = msgspec.field(name="createTime")  # since 1970
    last_update_time_ms: int = msgspec.field(name="lastUpdateTime")
    status: JobStatus
    percentage_complete: float  # two decimals
    estimate: bool = False  # of the percentage: the number of the job's tasks is not known yet
    failures: list[TaskFailure | RootFailure]  # the first ones; `failures` lists them all
    labels: dict[str, str]
    prerequisite_job_ids: list[str]  # still unmet


class PrerequisiteState(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A job for which another one of the same partition ID waits."""

    id: str
    status: JobStatus | None  # None: it is not stored
    percentage_complete: float | None  # two decimals


class JobDetails(Job, frozen=True, kw_only=True, rename="camel"):
    """A stored job with all that is shown of it."""

    attempt: int  # how often it was started: 1, and one more with each retry
    # None: it was not sent, or it has completed or was cancelled.
    sent_time_ms: int | None = msgspec.field(name="sentTime")
    # None: no delay keeps it from being sent, or the delay has not begun.
    delay_until_ms: int | None = msgspec.field(name="delayUntil")
    suspended: bool  # jobs of its partition ID are not sent
    prerequisites: list[PrerequisiteState]  # the first 20 of `prerequisite_job_ids`
    prerequisite_count: int
    held_messages: int  # of a paused job; 100,001: there are more than 100,000
    dropped_messages: int  # of this attempt
    dead_letters: int  # of this attempt


class TimeLeft(msgspec.Struct, frozen=True):
    """How long a job takes until it completes, in seconds: between these in 80 of 100 cases."""

    low: int
    high: int


class WatchedJob(_Named, frozen=True, kw_only=True, rename="camel"):
    """A job as a watch saw it."""

    time_ms: int = msgspec.field(name="time")  # when it was looked at, since 1970
    status: JobStatus | None  # None: no job has this name yet; only a prerequisite can be that
    percentage_complete: float  # two decimals; in a watch it never falls, except that a retry begins at 0
    estimate: bool  # of the percentage: the number of the job's tasks is not known yet
    tasks_per_second: float | None  # the job's own subtasks; None: it has none, or does not run
    percent_per_second: float | None  # None: it does not run, or the percentage is an estimate
    time_left: TimeLeft | None  # None: it does not run, or not enough is known
    as_of_ms: int | None = msgspec.field(name="asOf", default=None)  # None: not known
    lag_records: int | None = None  # None: not known


class JobCount(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many jobs match a filter."""

    count: int
    estimate: bool = False  # from the statistics of the planner


class JobPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a list of jobs."""

    jobs: list[Job]
    next: str | None  # the cursor of the next page; None: there is none


class PartitionState(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A partition ID; the jobs of a suspended one are stored, not sent."""

    partition_id: str
    suspended: bool


JobReference = str | Job | SubmittedJob | ChangedJob | ChangedPrerequisites
"""What names a job: ``partitionId:jobId``, ``jobId`` in partition ID ``default``, or a returned job."""


def as_json(shown: msgspec.Struct) -> bytes:
    """Return the JSON of a value, on one line."""
    return on_one_line(msgspec.json.encode(shown))
