"""The task message that starts a job."""

import base64
import json
from typing import Any

import pytest

from tests.messages.sorting import sort
from tests.model.messages import record_of
from tracker.identifiers import JobName
from tracker.messages.release import Start, StatusCheck, start_message

NOW_MS = 1_700_000_000_123
CHECK = StatusCheck("http://jobs:8080/v1", 5_000, "tracking")
START = Start(
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


def message_of(start: Start, check: StatusCheck = CHECK) -> dict[str, Any]:
    message = json.loads(start_message(start, check, NOW_MS))
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
            "statusCheckUrl": "http://jobs:8080/v1/partitions/acme/jobs/job-7/status",
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
        "http://jobs/partitions/b%C3%BCro%2F1%20%23/jobs/a%25b%26c%3Dd/status"
    )


def test_empty_task_data_is_empty_base64() -> None:
    assert message_of(START._replace(task_data=b""))["taskData"] == ""


@pytest.mark.parametrize("target", ["worker-out", "worker-in", None])
def test_the_tracker_understands_what_it_sends(target: str | None) -> None:
    batch = sort([record_of(start_message(START._replace(target_pipe=target), CHECK, NOW_MS))])
    assert batch.refused == []
    work = batch.jobs[START.job]
    assert work.job_completed_positions == ([0] if target == "worker-in" else [])
