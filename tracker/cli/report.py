"""`tracker job report`: an event that a worker would have sent, sent by a person."""

import sys
import time
import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from tracker import __version__
from tracker.cli.database import open_client
from tracker.cli.output import Json, print_json
from tracker.errors import JobNotFound, JobRefused, TrackerError

if TYPE_CHECKING:
    from tracker import Client
    from tracker.messages.report_event import TaskReport
    from tracker.settings import Settings

_NOT_LOOKED_UP = "it was not checked whether the job exists, and the report is not noted"


def report(
    task: Annotated[str, typer.Argument(metavar="TASK", help="A jobTaskId, as acme:job-7.3 or acme:job-7.")],
    status: Annotated[str, typer.Option(metavar="STATUS", help="Complete, Failed or Progress.")],
    percentage: Annotated[
        float | None, typer.Option(metavar="N", help="Of Progress: above 0, at most 99.9.")
    ] = None,
    failure_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Of Failed; by-hand if it is not given.")
    ] = None,
    message: Annotated[str | None, typer.Option(metavar="TEXT", help="Of Failed: what went wrong.")] = None,
    json: Json = False,
) -> None:
    """Report on a task in place of a worker, through Kafka."""
    from tracker.jobs.report import job_of
    from tracker.kafka.one_record import send_record
    from tracker.messages.report_event import Sender, report_event
    from tracker.settings import load

    try:
        made = _read(task, status, percentage, failure_id, message)
    except TrackerError as error:
        raise typer.BadParameter(str(error)) from None
    settings = load(need={"kafka"})
    topic, sender = settings.topics[0], Sender("tracker job report", __version__, str(uuid.uuid4()))
    with ExitStack() as stack:
        client = _look_up(made, settings, stack)
        send_record(settings, topic, str(job_of(made)).encode(), report_event(made, topic, sender))
        if client is not None:
            _note(client, made)
    if json:
        print_json([{"jobTaskId": made.job_task_id, "status": made.status.value, "topic": topic}])
    else:
        print(f"{made.job_task_id}: reported as {made.status}, to {topic}")


def _read(
    task: str, status: str, percentage: float | None, failure_id: str | None, message: str | None
) -> "TaskReport":
    from tracker.jobs.action import os_user
    from tracker.jobs.report import BY_HAND, complete, failed, progress, read_status
    from tracker.messages.report_event import ReportStatus

    wanted = read_status(status)
    if (percentage is not None) != (wanted is ReportStatus.PROGRESS):
        raise typer.BadParameter("--percentage is for --status Progress, which needs it")
    if wanted is not ReportStatus.FAILED and (failure_id is not None or message is not None):
        raise typer.BadParameter("--failure-id and --message are for --status Failed")
    if percentage is not None:
        return progress(task, percentage)
    if wanted is ReportStatus.COMPLETE:
        return complete(task)
    source = f"tracker job report, by {os_user() or 'somebody'}"
    now_ms = time.time_ns() // 1_000_000
    return failed(task, failure_id or BY_HAND, message or "", source, now_ms)


def _look_up(made: "TaskReport", settings: "Settings", stack: ExitStack) -> "Client | None":
    """Check that the report would count, and return a client to note it with; None: there is no database."""
    from tracker.jobs.report import check_report

    if not settings.database.names_a_database:
        print(f"Warning: no database is named; {_NOT_LOOKED_UP}.", file=sys.stderr)
        return None
    try:
        client = stack.enter_context(open_client())
        client.run(check_report(made))
    except (JobNotFound, JobRefused):
        raise
    except TrackerError as error:
        print(f"Warning: {error}; {_NOT_LOOKED_UP}.", file=sys.stderr)
        return None
    return client


def _note(client: "Client", made: "TaskReport") -> None:
    from tracker.jobs.report import note_report

    try:
        client.run(note_report(made))
    except TrackerError as error:
        print(f"Warning: the report is sent, and not noted: {error}.", file=sys.stderr)
