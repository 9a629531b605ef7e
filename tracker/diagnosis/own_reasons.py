"""The reasons that lie with the job itself, from what the database has of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from tracker.diagnosis.reason import Reason, ReasonCode
from tracker.diagnosis.standing import Standing
from tracker.diagnosis.wording import counted, duration_text, in_ms, listed, since_text, time_text
from tracker.job_status import JobStatus
from tracker.jobs.job import MissingState, MissingTasks

_WORDS_OF_DROPS = {
    "cancelled": "it was cancelled",
    "completed": "it had completed",
    "failed": "it had failed",
    "stale": "they belonged to an earlier run",
}


@dataclass(frozen=True)
class FailureGroup:
    """Tasks that have failed with the same ID and message."""

    failure_id: str
    message: str
    count: int
    first_task: str  # jobTaskId


@dataclass
class Tree:
    """What is known of the tasks of a job."""

    missing: dict[MissingState, int] = field(default_factory=dict)  # tasks by state
    first: list[MissingTasks] = field(default_factory=list)
    has_unknown: bool = False  # the number of some task's subtasks is not known
    failures: list[FailureGroup] = field(default_factory=list)
    failed: int = 0  # tasks
    has_more_failures: bool = False  # only so many were counted
    failure_groups: int = 0


def own_reasons(job: Standing, tree: Tree, now: datetime, *, scheduler_is_active: bool) -> Iterator[Reason]:
    """Yield why a job stands where it stands, without what it waits for, the most telling first."""
    if job.status in (JobStatus.COMPLETED, JobStatus.CANCELLED) or job.root_job_id is not None:
        yield _ended(job)
        return
    if job.status is JobStatus.FAILED or tree.failed:
        yield _failed_tasks(job, tree)
    if job.is_to_be_sent and job.suspended:
        tenant = job.name.partition_id
        yield Reason(
            code=ReasonCode.PARTITION_SUSPENDED,
            text=f"Jobs of partition ID {tenant} are not sent, because it is suspended.",
            subject=tenant,
            command=f"tracker partition resume {tenant}",
        )
    if job.status is JobStatus.PAUSED:
        yield _paused(job, now)
    if job.is_to_be_sent and not job.unmet and not job.suspended and job.status is not JobStatus.PAUSED:
        yield from _to_be_sent(job, now, scheduler_is_active=scheduler_is_active)
    yield from _lost(job)
    if job.contradicted:
        yield Reason(
            code=ReasonCode.CONTRADICTION,
            text="Reports on its tasks contradict each other: a subtask came after the one that was marked as"
            " the last, or two were marked.",
            subject=str(job.name),
        )
    if job.status is not JobStatus.FAILED and not job.is_to_be_sent:
        yield from _missing_tasks(job, tree, now)


def _ended(job: Standing) -> Reason:
    when = "" if job.end_time is None else f" at {time_text(job.end_time)}"
    command = subject = None
    if job.root_job_id is not None:
        subject = f"{job.name.partition_id}:{job.root_job_id}"
        text = f"It failed{when}, because {subject}, for which it waited, has failed."
        command = f"tracker job retry --cascade {subject}"
    elif job.status is JobStatus.CANCELLED:
        text = f"It was cancelled{when}{job.by_whom('cancel')}."
    else:
        subject = job.end_record
        text = f"It completed{when}" + (f", by record {subject}." if subject else ".")
    return Reason(
        code=ReasonCode.ENDED, text=text, subject=subject, since=in_ms(job.end_time), command=command
    )


def _failed_tasks(job: Standing, tree: Tree) -> Reason:
    groups = [
        f"{counted(each.count, 'time')} {each.failure_id} ({each.message[:200]})" for each in tree.failures
    ]
    more = "More than " if tree.has_more_failures else ""
    failed = counted(tree.failed, "task has", "tasks have")
    text = f"{more}{failed} failed: {listed(groups, tree.failure_groups)}."
    if not groups:
        text = "It has failed, and no failed task is stored any more."
    can_be_retried = job.status is JobStatus.FAILED
    return Reason(
        code=ReasonCode.FAILED_TASKS,
        text=text,
        subject=tree.failures[0].first_task if tree.failures else str(job.name),
        count=None if tree.has_more_failures else tree.failed,
        command=f"tracker job retry {job.name}" if can_be_retried else f"tracker job failures {job.name}",
    )


def _paused(job: Standing, now: datetime) -> Reason:
    held = (
        f"More than {job.most_held:,} of its messages are"
        if job.held > job.most_held
        else (
            f"{counted(job.held, 'of its messages is', 'of its messages are')}"
            if job.held
            else "No message is"
        )
    )
    return Reason(
        code=ReasonCode.PAUSED,
        text=f"It has been paused{since_text(job.pause_time, now)}{job.by_whom('pause')}. {held} held.",
        since=in_ms(job.pause_time),
        count=job.held,
        command=f"tracker job resume {job.name}",
    )


def _to_be_sent(job: Standing, now: datetime, *, scheduler_is_active: bool) -> Iterator[Reason]:
    due = job.eligible_time
    if due is not None and due > now and job.is_delayed:
        yield Reason(
            code=ReasonCode.DELAYED,
            text=f"It is sent at {time_text(due)}, {duration_text((due - now).total_seconds())} from now,"
            f" because of its delay of {counted(job.delay_s, 'second')}.",
            until=in_ms(due) or 0,
        )
        return
    if not scheduler_is_active:
        text, subject = "It waits for nothing, and no scheduler is active that would send it.", None
        command = "tracker run"
    elif job.not_sent_reason is not None:
        again = f" The next try is at {time_text(due)}." if due is not None and due > now else ""
        text, subject = f"It cannot be sent: {job.not_sent_reason}.{again}", job.task_pipe
        command = None
    elif due is not None and (now - due).total_seconds() > 0:
        text, subject = (
            f"It has been due{since_text(due, now)}, and the scheduler sends what was due before.",
            None,
        )
        command = "tracker status"
    else:
        text, subject, command = "It is about to be sent.", job.task_pipe, None
    yield Reason(code=ReasonCode.NOT_SENT, text=text, subject=subject, since=in_ms(due), command=command)


def _lost(job: Standing) -> Iterator[Reason]:
    if job.dead_letters.count:
        lost = job.dead_letters
        yield Reason(
            code=ReasonCode.DEAD_LETTERS,
            text=counted(lost.count, "message of it is a dead letter", "messages of it are dead letters")
            + f". The newest, of record {lost.record}: {lost.reason}.",
            subject=lost.record,
            since=in_ms(lost.time),
            count=lost.count,
            command=f"tracker dead-letters replay --all-matching --job {job.name}",
        )
    if job.dropped.count:
        lost = job.dropped
        yield Reason(
            code=ReasonCode.DROPPED,
            text=counted(lost.count, "message of it was", "messages of it were")
            + f" dropped. The newest, record {lost.record}: {_WORDS_OF_DROPS.get(lost.reason, lost.reason)}.",
            subject=lost.record,
            since=in_ms(lost.time),
            count=lost.count,
        )


def _missing_tasks(job: Standing, tree: Tree, now: datetime) -> Iterator[Reason]:
    count = sum(tree.missing.values())
    if job.status is JobStatus.WAITING and job.sent_time is not None:
        ago = duration_text((now - job.sent_time).total_seconds())
        yield Reason(
            code=ReasonCode.MISSING_TASKS,
            text=f"Its task message was sent to {job.task_pipe} {ago} ago, and nothing has been reported"
            " since.",
            subject=str(job.name),
            since=in_ms(job.sent_time),
            count=1,
        )
    elif count or tree.has_unknown:
        ranges = ", ".join(map(_range_text, tree.first))
        missing = f"{counted(count, 'task has', 'tasks have')} not completed: {ranges}."
        more = " The number of its tasks is not known yet." if tree.has_unknown else ""
        yield Reason(
            code=ReasonCode.MISSING_TASKS,
            text=f"{missing if count else 'Each task that is known has completed.'}"
            f" Nothing has been reported{since_text(job.last_update_time, now)}.{more}",
            subject=str(job.name),
            since=in_ms(job.last_update_time),
            count=count,
            command=f"tracker job missing {job.name}",
        )


def _range_text(tasks: MissingTasks) -> str:
    if tasks.parent is None:
        return "the job itself"
    last = "*" if tasks.last is None else str(tasks.last)
    span = str(tasks.first) if tasks.first == tasks.last else f"{tasks.first} to {last}"
    return f"{tasks.parent}.{span} ({tasks.state})"
