"""What a message for a worker says of its task."""

from typing import Any

import pytest

from tests.support.deployment import Deployment
from tests.support.kafka import Received
from tests.support.messages import OMIT
from tests.support.records import Headers
from tests.support.times import is_recent
from tracker.metrics import REPORTS

REJECTED = ("x-caf-worker-rejected", b"it failed too often")
RETRIED = ("x-caf-worker-retry", b"3")
DONE = ("NEW_TASK", "RESULT_SUCCESS", "RESULT_FAILURE")


def fail(running: Deployment, *, headers: Headers = (), **fields: Any) -> dict[str, Any]:
    """Have a message report that a task has failed; return the details as they are shown."""
    running.process(running.message("acme:job.1", headers=headers, **fields))
    assert running.status("job") == "Failed"
    [shown] = running.failures("job")
    return shown


@pytest.mark.parametrize("status", DONE)
def test_a_result_whose_tracking_ends_completes_its_task(tracker: Deployment, status: str) -> None:
    results = tracker.topics.results
    ends: dict[str, dict[str, Any]] = {
        "both-null": {"to": None, "track_to": None},
        "absent": {"to": OMIT, "tracking": {"jobTaskId": "acme:absent"}},
        "equal": {"to": results, "track_to": results},
        "other-case": {"to": results, "track_to": results.upper()},
    }
    tracker.client.submit([tracker.job(job_id) for job_id in ends])
    tracker.start(scheduler=False)
    tracker.process(*(tracker.message(f"acme:{job}", status=status, **to) for job, to in ends.items()))
    assert {job: tracker.status(job) for job in ends} == dict.fromkeys(ends, "Completed")


@pytest.mark.parametrize("status", DONE)
def test_a_result_whose_tracking_continues_writes_nothing(tracker: Deployment, status: str) -> None:
    work, results = tracker.topics.work, tracker.topics.results
    goes_on: dict[str, dict[str, Any]] = {
        "elsewhere": {"to": work, "track_to": results},
        "no-end": {"to": work, "track_to": None},
        "nowhere-yet": {"to": None, "track_to": results},
    }
    tracker.client.submit([tracker.job(job_id) for job_id in goes_on])
    tracker.start(scheduler=False)
    tracker.process(*(tracker.message(f"acme:{job}.1*", status=status, **to) for job, to in goes_on.items()))
    assert {job: tracker.status(job) for job in goes_on} == dict.fromkeys(goes_on, "Waiting")
    assert tracker.rows("SELECT * FROM sibling_tasks") == []
    assert len(tracker.work()) == 2


@pytest.mark.parametrize("status", ["RESULT_EXCEPTION", "INVALID_TASK"])
def test_an_exception_or_invalid_task_fails_its_task(running: Deployment, status: str) -> None:
    shown = fail(running, status=status, task_data="naïve".encode())
    assert is_recent(shown.pop("failureTime"))
    assert shown == {
        "failureId": status,
        "failureSource": "worker-document",
        "failureMessage": "naïve",
        "jobTaskId": "acme:job.1",
    }


@pytest.mark.parametrize("to", ["work", "results", None])
def test_an_exception_is_forwarded_like_any_other_message(running: Deployment, to: str | None) -> None:
    destination = None if to is None else getattr(running.topics, to)
    fail(running, status="RESULT_EXCEPTION", to=destination)
    found: list[Received] = running.kafka.read(running.topics.work, running.topics.results)
    assert [each.topic for each in found] == ([] if destination is None else [destination])


@pytest.mark.parametrize("status", [None, OMIT, "RESULT_MAYBE"])
def test_a_rejected_task_fails_with_reason_and_retries(running: Deployment, status: Any) -> None:
    shown = fail(running, status=status, headers=(REJECTED, RETRIED))
    assert shown["failureId"] == "x-caf-worker-rejected"
    assert shown["failureMessage"] == ("it failed too often. Execution of this job task was retried 3 times.")
    assert running.count(REPORTS, kind="failed") == 1


def test_a_rejected_task_that_was_never_tried_again_says_so(running: Deployment) -> None:
    shown = fail(running, status=None, headers=(REJECTED,))
    assert shown["failureMessage"].endswith("retried 0 times.")


def test_the_header_of_rejection_says_nothing_of_a_sound_result(running: Deployment) -> None:
    running.process(running.message("acme:job.1*", headers=(REJECTED, RETRIED)))
    assert running.status("job") == "Completed"


@pytest.mark.parametrize("status", [None, OMIT, "RESULT_MAYBE"])
def test_another_status_is_a_retry_that_writes_nothing(running: Deployment, status: Any) -> None:
    sent = running.message("acme:job.1", status=status, to=running.topics.work)
    running.process(sent)
    assert running.status("job") == "Waiting"
    assert running.count(REPORTS, kind="retry") == 1
    assert [each.value for each in running.work()] == [sent.value]


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (None, "Unknown - no source info"),
        (OMIT, "Unknown - no source info"),
        ({"version": "1"}, "Unknown - worker name not set"),
        ({"name": None}, "Unknown - worker name not set"),
    ],
)
def test_a_failure_says_where_it_comes_from_as_well_as_it_can(
    running: Deployment, source: Any, shown: str
) -> None:
    assert fail(running, status="INVALID_TASK", sourceInfo=source)["failureSource"] == shown
