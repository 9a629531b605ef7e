"""The job that a message names is found even if the message is bad."""

import pytest

from tests.support.messages import event, progress_event, report, task_message, tracking_report
from tracker.messages.named_task import job_in


@pytest.mark.parametrize(
    ("value", "job"),
    [
        (task_message("acme:job-7.3.12*"), "acme:job-7"),
        (task_message("job"), "default:job"),
        (task_message("acme:job.0", version=99, priority="no number"), "acme:job"),
        (tracking_report(report("acme:a.1", "Complete"), report("acme:b.1", "Complete")), "acme:a"),
        (tracking_report(report("acme:a.1", "no status")), "acme:a"),
        (progress_event("a.1", "no number"), "default:a"),
    ],
)
def test_it_is_found(value: bytes, job: str) -> None:
    assert str(job_in(value)) == job


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xff",
        b"[" * 100_000,
        b'{"tracking": {"jobTaskId": "acme:job.1"}',
        b'{"tracking": {"jobTaskId": 7}}',
        b'{"taskData": 7}',
        b'{"taskData": "!"}',
        b'{"taskData": "\xc3\xa4"}',
        task_message(None),
        task_message("a:b:c.1"),
        task_message("acme:" + "x" * 100),
        tracking_report(),
        event("TrackingReportTask", b"["),
        progress_event(7, 1),
    ],
)
def test_where_it_cannot_be_read_there_is_none(value: bytes | None) -> None:
    assert job_in(value) is None
