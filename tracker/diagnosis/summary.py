"""How many jobs have which first reason, in sentences."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tracker.diagnosis.reason import Reason, ReasonCode, ReasonCount
from tracker.diagnosis.roots import Key, Root
from tracker.diagnosis.standing import Standing
from tracker.diagnosis.wording import counted
from tracker.job_status import JobStatus

_WORDS = {
    ReasonCode.ENDED: ("has ended", "have ended"),
    ReasonCode.FAILED_TASKS: ("has failed tasks", "have failed tasks"),
    ReasonCode.PARTITION_SUSPENDED: ("is not sent, because", "are not sent, because"),
    ReasonCode.PAUSED: ("is paused", "are paused"),
    ReasonCode.UNMET_PREREQUISITES: ("waits for", "wait for"),
    ReasonCode.DELAYED: ("is delayed", "are delayed"),
    ReasonCode.NOT_SENT: ("is not sent yet", "are not sent yet"),
    ReasonCode.DEAD_LETTERS: ("has dead letters", "have dead letters"),
    ReasonCode.DROPPED: ("has dropped messages", "have dropped messages"),
    ReasonCode.CONTRADICTION: ("has contradictory reports", "have contradictory reports"),
    ReasonCode.MISSING_TASKS: ("has tasks that have not completed", "have tasks that have not completed"),
}
_STATES = {
    None: "which is not stored",
    JobStatus.WAITING: "which waits for no other job",
    JobStatus.ACTIVE: "which runs",
    JobStatus.PAUSED: "which is paused",
    JobStatus.FAILED: "which has failed",
    JobStatus.CANCELLED: "which was cancelled",
    JobStatus.COMPLETED: "which has completed",
}
_COMMANDS = {
    JobStatus.WAITING: "tracker job why",
    JobStatus.ACTIVE: "tracker job why",
    JobStatus.PAUSED: "tracker job resume",
    JobStatus.FAILED: "tracker job retry",
}
_WITH_SUBJECT = (ReasonCode.PARTITION_SUSPENDED, ReasonCode.NOT_SENT)


class _Group(NamedTuple):
    """Jobs with the same first reason."""

    code: ReasonCode
    subject: str | None
    root: Root | None


def summarize(reasons: Iterable[tuple[Standing, Reason]], roots: Mapping[Key, Root]) -> list[ReasonCount]:
    """Return how many jobs have which first reason, the most frequent first, and last those that have ended.

    Those that wait for others are counted for each root, by the first root of each.
    """
    groups = Counter(_group(job, reason, roots) for job, reason in reasons)
    ordered = sorted(groups.items(), key=lambda item: _place(*item))
    return [_count(group, number) for group, number in ordered]


def _place(group: _Group, number: int) -> tuple[bool, int, str, str]:
    return group.code is ReasonCode.ENDED, -number, group.code, group.subject or ""


def _group(job: Standing, reason: Reason, roots: Mapping[Key, Root]) -> _Group:
    if reason.code is ReasonCode.UNMET_PREREQUISITES:
        root = roots.get(job.key)
        subject = None if root is None else f"{job.name.partition_id}:{root.job_id}"
        return _Group(reason.code, subject, root)
    return _Group(reason.code, reason.subject if reason.code in _WITH_SUBJECT else None, None)


def _count(group: _Group, number: int) -> ReasonCount:
    words = _WORDS[group.code][number != 1]
    text, command = f"{counted(number, 'job')} {words}", None
    if group.root is not None:
        text += f" {group.subject}, {_STATES[group.root.status]}"
        verb = None if group.root.status is None else _COMMANDS.get(group.root.status)
        command = f"{verb} {group.subject}" if verb else None
    elif group.code is ReasonCode.UNMET_PREREQUISITES:
        text += " other jobs"
    elif group.code is ReasonCode.PARTITION_SUSPENDED:
        text += f" partition ID {group.subject} is suspended"
        command = f"tracker partition resume {group.subject}"
    elif group.subject is not None:
        text += f" to {group.subject}"
    return ReasonCount(code=group.code, text=f"{text}.", subject=group.subject, count=number, command=command)
