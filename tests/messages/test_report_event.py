"""The event that a person sends is one that a worker could have sent."""

import pytest

from tests.support.decoding import NOW_MS
from tracker.identifiers import parse_task_name
from tracker.messages.event import Complete, Event, Failed, Failure, Progress, TaskNames, decode_event
from tracker.messages.report_event import ReportStatus, Sender, TaskReport, report_event
from tracker.messages.task_message import decode_message

SENDER = Sender("by hand", "1", "id")
FAILURE = Failure("E1", 1_700_000_000_000, "ann", 'it "broke" ü')


def decoded(report: TaskReport) -> Event:
    message = decode_message(report_event(report, "tracking", SENDER))
    assert (message.to, message.tracking, message.taskId) == ("tracking", None, "id")
    assert message.sourceInfo is not None
    assert message.sourceInfo.name == "by hand"
    return decode_event(message, NOW_MS, 10_000, TaskNames())


@pytest.mark.parametrize("task", ["acme:job", "acme:job.3.12*", "job.1"])
def test_the_tracker_reads_what_was_reported(task: str) -> None:
    name = parse_task_name(task)
    assert decoded(TaskReport(task, ReportStatus.PROGRESS, percentage=12.5)).reports == [
        Progress(name, 12_500_000)
    ]
    assert decoded(TaskReport(task, ReportStatus.FAILED, failure=FAILURE)).reports == [Failed(name, FAILURE)]


def test_the_tracker_reads_that_a_task_has_completed() -> None:
    assert decoded(TaskReport("acme:job", ReportStatus.COMPLETE)).reports == [
        Complete(parse_task_name("acme:job"))
    ]
    [children] = decoded(TaskReport("acme:job.3*", ReportStatus.COMPLETE)).completed
    assert (children.indexes, children.last) == ([3], 3)
