"""The verbs of a report that a person sends in place of a worker: what is checked before, and noted after.

The report itself goes through Kafka, so that it keeps its place among the other messages of its job.
"""

from functools import partial

from tracker.errors import InvalidQuery, JobRefused
from tracker.identifiers import JobName, parse_task_name
from tracker.job_status import STATUSES, JobStatus
from tracker.jobs.action import Action
from tracker.jobs.change import lock_named
from tracker.jobs.query import find_job
from tracker.jobs.validation import find_unstorable
from tracker.messages.event import FULL, MAX_REPORTED, Failure
from tracker.messages.report_event import ReportStatus, TaskReport
from tracker.store.steps import Prepared, Verb, ask

BY_HAND = "by-hand"
"""The failure ID, if none is given."""


def read_status(text: str) -> ReportStatus:
    """Read what a report says about its task.

    :raises InvalidQuery: it is none of the three.
    """
    for status in ReportStatus:
        if text.lower() == status.lower():
            return status
    raise InvalidQuery(f"the status is {text!a}, not {', '.join(ReportStatus)}")


def complete(task: str) -> TaskReport:
    """Return the report that a task has completed.

    :raises BadIdentifier: `task` is no jobTaskId.
    """
    return TaskReport(_read_task(task), ReportStatus.COMPLETE)


def progress(task: str, percentage: float) -> TaskReport:
    """Return the report that a task has made progress.

    :raises BadIdentifier: `task` is no jobTaskId.
    :raises InvalidQuery: the percentage is not above 0, or above what a task that has not completed can have.
    """
    if not 0 < percentage <= MAX_REPORTED * 100 / FULL:
        raise InvalidQuery(f"the percentage is {percentage:g}, not above 0 and at most 99.9")
    return TaskReport(_read_task(task), ReportStatus.PROGRESS, percentage=percentage)


def failed(task: str, failure_id: str, message: str, source: str, now_ms: int) -> TaskReport:
    """Return the report that a task has failed.

    :raises BadIdentifier: `task` is no jobTaskId.
    :raises InvalidQuery: a text cannot be stored.
    """
    for what, text in (("failure ID", failure_id), ("message", message)):
        if find_unstorable(text) is not None:
            raise InvalidQuery(f"the {what} has a NUL, or half a character")
    failure = Failure(failure_id, now_ms, source, message)
    return TaskReport(_read_task(task), ReportStatus.FAILED, failure=failure)


def job_of(report: TaskReport) -> JobName:
    """Return the job whose task is reported on."""
    return parse_task_name(report.job_task_id).job


def check_report(report: TaskReport) -> Prepared[None]:
    """Check that a report would count. A job that has failed can still complete, so reports on it do.

    :raises JobNotFound: the task's job is not stored.
    :raises JobRefused: it has completed or was cancelled.
    """
    return Prepared(partial(_check, job_of(report)))


def note_report(report: TaskReport) -> Prepared[None]:
    """Note who has sent a report. A job that was deleted meanwhile has nothing to note."""
    return Prepared(partial(_note, report))


def _read_task(task: str) -> str:
    """Check a jobTaskId, and return it as it is: it may mark the last of the siblings."""
    if find_unstorable(task) is not None:
        raise InvalidQuery(f"{task[:1_000]!a} is no task's name: it has a NUL, or half a character")
    parse_task_name(task)
    return task


def _check(name: JobName) -> Verb[None]:
    _, _, number, _ = yield from find_job(name)
    status = STATUSES[number]
    if status in (JobStatus.CANCELLED, JobStatus.COMPLETED):
        raise JobRefused(f"reports no longer count: {name} is {status}")


def _note(report: TaskReport) -> Verb[None]:
    name = job_of(report)
    found = yield from lock_named([name])
    if name not in found:
        return
    (tenant_key, job_key), _ = found[name]
    action_key = yield from Action("report", _described(report)).note(1)
    yield from ask("set_action", tenant_key=tenant_key, job_key=job_key, action_key=action_key)


def _described(report: TaskReport) -> str:
    text = f"{report.job_task_id} {report.status}"
    if report.percentage is not None:
        text += f", {report.percentage:g} %"
    if report.failure is not None:
        text += f", {report.failure.failure_id} ({report.failure.failure_message})"
    return text
