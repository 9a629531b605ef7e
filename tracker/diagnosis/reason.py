"""Why a job stands where it stands: the answer of `tracker job why`, and the codes of its reasons."""

from collections.abc import Iterator
from enum import StrEnum

import msgspec
from msgspec import UNSET, UnsetType

from tracker.job_status import JobStatus


class ReasonCode(StrEnum):
    """What a reason is about. The first that applies is the most telling."""

    ENDED = "ended"
    FAILED_TASKS = "failed-tasks"
    PARTITION_SUSPENDED = "partition-suspended"
    PAUSED = "paused"
    UNMET_PREREQUISITES = "unmet-prerequisites"
    PREREQUISITE_UNKNOWN = "prerequisite-unknown"
    PREREQUISITE_FAILED = "prerequisite-failed"
    PREREQUISITE_CANCELLED = "prerequisite-cancelled"
    PREREQUISITE_PAUSED = "prerequisite-paused"
    PREREQUISITE_WAITING = "prerequisite-waiting"
    PREREQUISITE_RUNNING = "prerequisite-running"
    CYCLE = "cycle"
    DELAYED = "delayed"
    NOT_SENT = "not-sent"
    NO_CONSUMER = "no-consumer"
    CONSUMER_LAG = "consumer-lag"
    TRACKER_DOWN = "tracker-down"
    TRACKER_LAG = "tracker-lag"
    DEAD_LETTERS = "dead-letters"
    DROPPED = "dropped"
    CONTRADICTION = "contradiction"
    MISSING_TASKS = "missing-tasks"
    BY_HAND = "by-hand"
    NOT_ASKED = "not-asked"


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One reason, in a sentence, and what could be done. Times are in ms since 1970."""

    code: ReasonCode
    text: str
    subject: str | None = None  # the job, task, topic, group or partition ID meant
    since: int | None = None
    until: int | UnsetType = UNSET  # of `delayed`
    count: int | None = None
    command: str | None = None  # what could be typed


class ReasonCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs have the same first reason, in a sentence, and what could be done."""

    code: ReasonCode
    text: str
    subject: str | None  # the job for which they wait in the end, the partition ID or the topic meant
    count: int
    command: str | None  # what could be typed


class WhySummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many of some jobs have which first reason, the most frequent first."""

    reasons: list[ReasonCount]
    jobs: int  # that were looked at
    has_more: bool  # more match


class Why(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Why a job stands where it stands, the most telling reason first."""

    partition_id: str
    id: str
    status: JobStatus
    percentage_complete: float  # two decimals
    reasons: list[Reason]
    as_of: int  # when it was looked, in ms since 1970
    partial: bool  # something could not be asked; a reason `not-asked` says what

    def __str__(self) -> str:
        return f"{self.partition_id}:{self.id}"

    def lines(self) -> Iterator[str]:
        """Yield lines for people, not made safe for a terminal: the status, each reason, its command."""
        progress = "" if self.status is JobStatus.COMPLETED else f", {self.percentage_complete} %"
        yield f"{self} is {self.status}{progress}."
        for reason in self.reasons:
            yield f"- {reason.text}"
            if reason.command is not None:
                yield f"    {reason.command}"
