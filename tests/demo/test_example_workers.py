"""The messages that the example workers send are what the contract says, and what the tracker expects."""

import base64
import json
from dataclasses import dataclass
from typing import Any

import page_worker
import pytest
import splitter
import task_worker

from tracker.identifiers import JobName, parse_task_name
from tracker.messages.decode import Rules, decode_batch
from tracker.messages.pending_task import PendingTask, StatusCheck, task_message_of

JOB = JobName("acme", "report")


def start(document: object) -> dict[str, Any]:
    """Return the task message with which the tracker starts a job."""
    data = json.dumps(document).encode()
    job = PendingTask(1, 1, JOB, "Splitter", 1, data, "documents", "results", b"c-1", "id-1")
    message: dict[str, Any] = json.loads(task_message_of(job, StatusCheck("", 5000, "tracking"), 0))
    return message


def split(document: object) -> list[dict[str, Any]]:
    return list(splitter.split(start(document), "pages", "scans"))


def data_of(message: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(message["taskData"]))


def test_each_page_becomes_a_subtask_and_only_the_last_has_a_star() -> None:
    messages = split({"document": "report", "pages": 3})
    names = {message["tracking"]["jobTaskId"] for message in messages}
    assert names == {"acme:report.1", "acme:report.2", "acme:report.3*"}
    assert sorted(data_of(message)["page"] for message in messages) == [1, 2, 3]
    assert len({message["taskId"] for message in messages}) == 3


def test_the_last_page_goes_first_so_that_the_percentage_is_soon_right() -> None:
    assert data_of(split({"document": "report", "pages": 3})[0])["page"] == 3


def test_pages_pass_the_tracker_on_their_way_to_the_page_workers() -> None:
    for message in split({"document": "report", "pages": 2}):
        assert (message["taskStatus"], message["to"]) == ("NEW_TASK", "pages")
        assert message["tracking"]["trackTo"] == "results"
        assert message["correlationId"] == "c-1"
        assert task_worker.next_topic(message) == "tracking"


def test_scanned_pages_go_to_their_own_workers() -> None:
    assert {m["to"] for m in split({"document": "report", "pages": 2, "scanned": True})} == {"scans"}


def test_a_document_without_pages_is_complete_at_once() -> None:
    [message] = split({"document": "report", "pages": 0})
    assert (message["taskStatus"], message["to"]) == ("RESULT_SUCCESS", "results")
    assert message["tracking"]["jobTaskId"] == "acme:report"


def test_a_result_goes_to_where_tracking_ends() -> None:
    page = split({"document": "report", "pages": 1})[0]
    [result] = page_worker.handle(page)
    assert (result["taskStatus"], result["to"]) == ("RESULT_SUCCESS", result["tracking"]["trackTo"])
    assert result["tracking"]["jobTaskId"] == "acme:report.1*"
    assert result["taskId"] == page["taskId"]
    assert data_of(result) == {"document": "report", "page": 1, "words": 12}


def test_a_damaged_page_has_a_result_that_fails_its_task() -> None:
    page = split({"document": "report", "pages": 2, "damaged": [2]})[0]
    [result] = task_worker.answer(page_worker.handle, page, page_worker.NAME)
    assert (result["taskStatus"], result["to"]) == ("RESULT_EXCEPTION", "results")
    assert base64.b64decode(result["taskData"]) == b"Page 2 is damaged."
    assert result["sourceInfo"]["name"] == "page-worker"
    assert result["tracking"]["jobTaskId"] == "acme:report.2*"


@pytest.mark.parametrize("document", [{}, {"document": "report", "pages": "many"}, "report"])
def test_a_task_that_makes_no_sense_is_invalid(document: object) -> None:
    [result] = task_worker.answer(
        lambda task: splitter.split(task, "pages", "scans"), start(document), "splitter"
    )
    assert (result["taskStatus"], result["to"]) == ("INVALID_TASK", "results")
    assert result["tracking"]["jobTaskId"] == "acme:report"


def test_without_tracking_a_message_goes_straight_to_its_topic() -> None:
    task = start({"document": "report", "pages": 1}) | {"tracking": None}
    [page] = splitter.split(task, "pages", "scans")
    assert task_worker.next_topic(page) == "pages"
    [result] = page_worker.handle(page)
    assert task_worker.next_topic(result) is None


@dataclass
class Record:
    """A record of the tracking topic."""

    message: dict[str, Any]

    def topic(self) -> str:
        return "tracking"

    def value(self) -> bytes:
        return json.dumps(self.message).encode()

    def headers(self) -> None:
        return None


def test_the_tracker_understands_every_message() -> None:
    pages = split({"document": "report", "pages": 2, "damaged": [1]})
    results = [task_worker.answer(page_worker.handle, page, page_worker.NAME)[0] for page in pages]
    records = [Record(message) for message in pages + results]
    rules = Rules(["tracking"], lambda _: None, max_message_bytes=1_000_000, max_failure_chars=100)
    found = decode_batch(records, rules, now_ms=0)
    assert found.refused == []
    assert found.destinations == ["pages", "pages", "results", "results"]
    work = found.jobs[JOB]
    assert work.open_positions == [0, 1]
    assert sorted(work.ending_positions) == [2, 3]
    [(position, report)] = work.reports
    assert (position, report.task) == (3, parse_task_name("acme:report.1"))
    assert [json.loads(value or b"")["tracking"] for value in found.values[2:]] == [None, None]
