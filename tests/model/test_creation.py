"""How the model creates jobs, and sends those that wait for nothing."""

import base64

import pytest

from tests.model.examples import JOB, released
from tests.support.model.naive import NaiveTracker
from tests.support.model.outcomes import Conflict, Outcome, Refused


def test_the_same_job_twice_is_a_no_op(tracker: NaiveTracker) -> None:
    assert tracker.create_job(*JOB) == Outcome()


def test_another_job_of_the_same_name_is_a_conflict(tracker: NaiveTracker) -> None:
    with pytest.raises(Conflict):
        tracker.create_job(*JOB, description="another")


def test_a_job_without_prerequisites_is_sent_after_its_delay() -> None:
    tracker = NaiveTracker()
    assert released(tracker.create_job("acme", "now")) == ["now"]
    assert released(tracker.create_job("acme", "later", delay=10)) == []
    assert released(tracker.advance(9)) == []
    assert released(tracker.advance(1)) == ["later"]
    assert released(tracker.advance(100)) == []


def test_a_released_job_is_sent_as_a_task_message() -> None:
    tracker = NaiveTracker(
        tracking_topics=["in", "in-2"], service_url="http://x/v1", status_check_interval_s=7
    )
    (release,) = tracker.create_job(
        "b\u00fc ro", "a/b", task_classifier="W", task_api_version=2, task_data=b"x", target_pipe=None
    ).released
    assert (release.destination, release.key) == ("worker-in", "b\u00fc ro:a/b".encode())
    assert release.message == {
        "version": 3,
        "taskClassifier": "W",
        "taskApiVersion": 2,
        "taskData": base64.b64encode(b"x").decode(),
        "taskStatus": "NEW_TASK",
        "context": {},
        "to": "worker-in",
        "tracking": {
            "jobTaskId": "b\u00fc ro:a/b",
            "statusCheckIntervalMillis": 7000,
            "statusCheckUrl": "http://x/v1/partitions/b%C3%BC%20ro/jobs/a%2Fb/status?run=1",
            "trackingPipe": "in",
            "trackTo": None,
        },
        "correlationId": None,
    }


def test_a_job_that_waits_for_itself_is_refused(tracker: NaiveTracker) -> None:
    tracker.create_job("acme", "a", prerequisites=["b"])
    tracker.create_job("acme", "b", prerequisites=["c"])
    with pytest.raises(Refused, match="itself"):
        tracker.create_job("acme", "c", prerequisites=["a"])
    with pytest.raises(Refused, match="itself"):
        tracker.create_job("acme", "d", prerequisites=["d"])
    assert tracker.status("acme", "c") is None


@pytest.mark.parametrize("prerequisites", [["a", "a,pc"], [""], [" "], [",pc"], ["a:b"]])
def test_bad_prerequisites_are_refused(tracker: NaiveTracker, prerequisites: list[str]) -> None:
    with pytest.raises(Refused):
        tracker.create_job("acme", "b", prerequisites=prerequisites)
