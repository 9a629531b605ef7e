"""The task message that starts a job."""

import base64
import json
from typing import Any

import pytest

from tests.support.decoding import decode
from tests.support.messages import record_of
from tracker.identifiers import JobName
from tracker.messages.pending_task import PendingTask, StatusCheck, task_message_of
from tracker.messages.run_marker import NO_MARKER, job_key_in

NOW_MS = 1_700_000_000_123
CHECK = StatusCheck("http://jobs:8080/v1", 5_000, "tracking")
START = PendingTask(
    tenant_key=1,
    job_key=2,
    job=JobName("acme", "job-7"),
    task_classifier="DocumentWorker",
    task_api_version=2,
    task_data=b'{"x":1}\xff',
    task_pipe="worker-in",
    target_pipe="worker-out",
    correlation_id=None,
    task_id="d1b0f3a4",
)


def message_of(start: PendingTask, check: StatusCheck = CHECK) -> dict[str, Any]:
    message = json.loads(task_message_of(start, check, NOW_MS))
    assert isinstance(message, dict)
    return message


def test_a_released_job_is_sent_as_a_task_message() -> None:
    assert message_of(START) == {
        "version": 3,
        "taskId": "d1b0f3a4",
        "taskClassifier": "DocumentWorker",
        "taskApiVersion": 2,
        "taskData": base64.b64encode(b'{"x":1}\xff').decode(),
        "taskStatus": "NEW_TASK",
        "context": {},
        "to": "worker-in",
        "tracking": {
            "jobTaskId": "acme:job-7",
            "lastStatusCheckTime": NOW_MS,
            "statusCheckIntervalMillis": 5_000,
            "statusCheckUrl": "http://jobs:8080/v1/partitions/acme/jobs/job-7/status?run=2",
            "trackingPipe": "tracking",
            "trackTo": "worker-out",
        },
    }


def test_tracking_need_not_end_anywhere() -> None:
    assert message_of(START._replace(target_pipe=None))["tracking"]["trackTo"] is None


def test_a_release_carries_the_correlation_id_of_what_caused_it() -> None:
    start = START._replace(correlation_id='ü\0"x'.encode())
    assert message_of(start)["correlationId"] == 'ü\0"x'


def test_the_parts_of_the_status_url_are_percent_encoded() -> None:
    start = START._replace(job=JobName("büro/1 #", "a%b&c=d"))
    assert message_of(start, CHECK._replace(service_url="http://jobs/"))["tracking"]["statusCheckUrl"] == (
        "http://jobs/partitions/b%C3%BCro%2F1%20%23/jobs/a%25b%26c%3Dd/status?run=2"
    )


@pytest.mark.parametrize(
    ("job_key", "marker"),
    [(1, "1"), (35, "z"), (36, "10"), (1295, "zz"), (2**63 - 1, "1y2p0ij32e8e7")],
)
def test_the_status_url_ends_in_the_marker_of_the_run(job_key: int, marker: str) -> None:
    url = message_of(START._replace(job_key=job_key))["tracking"]["statusCheckUrl"]
    assert url.endswith(f"/status?run={marker}")
    assert job_key_in(url) == job_key


def test_without_a_service_url_the_status_url_is_the_path_alone() -> None:
    url = message_of(START, CHECK._replace(service_url=""))["tracking"]["statusCheckUrl"]
    assert url == "/partitions/acme/jobs/job-7/status?run=2"


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "http://jobs/status",
        "http://jobs/status?run=",
        "http://jobs/status?run=A1",
        "http://jobs/status?run=1-2",
        "http://jobs/status?run=1_2",
        "http://jobs/status?run=+1",
        "http://jobs/status?run= 1",
        "http://jobs/status?run=\u0661",
        "http://jobs/status?run=é",
        "http://jobs/status?run=12345678901234",
        "http://jobs/status?run=1&x=2",
        "http://jobs/status?x=2&run=1",
        "http://jobs/status?run=1#2",
        "http://jobs/status?run=1/",
        "http://jobs/state?run=1",
        "http://jobs/status?Run=1",
    ],
)
def test_a_url_of_any_other_form_names_no_run(url: str | None) -> None:
    assert job_key_in(url) == NO_MARKER


def test_a_marker_that_the_tracker_never_writes_is_no_jobs() -> None:
    for marker in ("0", "00", "01", "0z"):
        assert job_key_in(f"/status?run={marker}") < NO_MARKER
    assert job_key_in("/status?run=zzzzzzzzzzzzz") == 36**13 - 1


def test_empty_task_data_is_empty_base64() -> None:
    assert message_of(START._replace(task_data=b""))["taskData"] == ""


@pytest.mark.parametrize("target", ["worker-out", "worker-in", None])
def test_the_tracker_understands_what_it_sends(target: str | None) -> None:
    batch = decode([record_of(task_message_of(START._replace(target_pipe=target), CHECK, NOW_MS))])
    assert batch.refused == []
    work = batch.jobs[START.job]
    assert work.job_completed_positions == ([0] if target == "worker-in" else [])
