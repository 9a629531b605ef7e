"""The demo notices what is wrong."""

import base64
import io
import json

import pytest
from rich.console import Console

from tracker import Job, JobStatus
from tracker.demo.jobs import DemoJob, demo_jobs
from tracker.demo.names import Names
from tracker.demo.outcome import checks, rows
from tracker.demo.results import Arrived
from tracker.demo.screen import Terminal
from tracker.demo.watching import Speed

JOBS = demo_jobs(100)


def result(document: str, page: int, status: str = "RESULT_SUCCESS", tracking: object = None) -> bytes:
    data = base64.b64encode(json.dumps({"document": document, "page": page, "words": 1}).encode()).decode()
    return json.dumps({"taskStatus": status, "taskData": data, "tracking": tracking}).encode()


def pages_that_arrive(job: DemoJob) -> range:
    if job.expected is JobStatus.COMPLETED:
        return range(1, job.pages + 1)
    return range(1, 5) if job.starts else range(0)


def add(arrived: Arrived, job: DemoJob, page: int, status: str = "RESULT_SUCCESS") -> None:
    arrived.add(str(job), result(job.id, page, status))


@pytest.fixture
def arrived() -> Arrived:
    """All as it has to be."""
    good = Arrived()
    for job in JOBS:
        for page in pages_that_arrive(job):
            add(good, job, page)
        if job.damaged_page is not None:
            add(good, job, job.damaged_page, "RESULT_EXCEPTION")
    return good


@pytest.fixture
def found() -> dict[str, Job]:
    """All as it has to be."""
    return {job.id: shown(job, job.expected) for job in JOBS}


def shown(job: DemoJob, status: JobStatus) -> Job:
    return Job(
        partition_id="demo",
        id=job.id,
        name="",
        description="",
        external_data="",
        create_time_ms=0,
        last_update_time_ms=1500,
        status=status,
        percentage_complete=100.0 if status is JobStatus.COMPLETED else 15.0,
        failures=[],
        labels={},
        prerequisite_job_ids=[],
    )


def wrong(found: dict[str, Job], arrived: Arrived, troubles: list[str] | None = None) -> list[str]:
    return [check.text for check in checks(JOBS, found, arrived, troubles or []) if not check.right]


def test_all_is_right(found: dict[str, Job], arrived: Arrived) -> None:
    assert wrong(found, arrived) == []


def test_job_with_another_status(found: dict[str, Job], arrived: Arrived) -> None:
    found["book"] = shown(JOBS[3], JobStatus.ACTIVE)
    assert wrong(found, arrived) == ["book is Active, not Completed."]


def test_missing_page(found: dict[str, Job], arrived: Arrived) -> None:
    del arrived.pages["book", 2]
    assert wrong(found, arrived) == ["book: 1 pages are missing, 0 came more than once."]


@pytest.mark.parametrize("job", [JOBS[3], JOBS[8], JOBS[11]], ids=lambda job: job.id)
def test_page_that_came_twice(job: DemoJob, found: dict[str, Job], arrived: Arrived) -> None:
    add(arrived, job, 1)
    [text] = wrong(found, arrived)
    assert job.id in text
    assert "1 came more than once" in text or "1 of them twice" in text


def test_page_that_nobody_sent(found: dict[str, Job], arrived: Arrived) -> None:
    add(arrived, JOBS[3], 11)
    assert len(wrong(found, arrived)) == 1


@pytest.mark.parametrize("times", [0, 2])
def test_failure_that_did_not_arrive_once(times: int, found: dict[str, Job], arrived: Arrived) -> None:
    arrived.failures["demo:letters"] = times
    [text] = wrong(found, arrived)
    assert f"arrived {times} times" in text


def test_page_of_a_job_that_cannot_run(found: dict[str, Job], arrived: Arrived) -> None:
    add(arrived, JOBS[9], 1)
    assert len(wrong(found, arrived)) == 1


def test_cancelled_job_that_continued_to_its_end(found: dict[str, Job], arrived: Arrived) -> None:
    for page in range(1, JOBS[11].pages + 1):
        arrived.pages["archive", page] = 1
    assert len(wrong(found, arrived)) == 1


def test_result_that_is_still_tracked(found: dict[str, Job], arrived: Arrived) -> None:
    arrived.pages["book", 1] = 0
    arrived.add("demo:book", result("book", 1, tracking={"jobTaskId": "demo:book.1"}))
    assert wrong(found, arrived) == ["0 dead letters; 1 results are still tracked."]


def test_dead_letter(found: dict[str, Job], arrived: Arrived) -> None:
    arrived.dead_letters = 1
    assert wrong(found, arrived) == ["1 dead letters; 0 results are still tracked."]


def test_process_that_ended_badly(found: dict[str, Job], arrived: Arrived) -> None:
    assert wrong(found, arrived, ["splitter ended with status 1."]) == ["splitter ended with status 1."]


def test_every_job_has_something_to_see() -> None:
    assert all(job.to_submit(Names()).name for job in JOBS)


@pytest.mark.parametrize("width", [80, 140])
def test_terminal_shows_every_job_and_how_it_ended(
    width: int, found: dict[str, Job], arrived: Arrived
) -> None:
    shown = io.StringIO()
    screen = Terminal(Console(file=shown, force_terminal=True, width=width, height=50))
    with screen.watching(JOBS):
        screen.show(found, Speed())
    bars = shown.getvalue()
    screen.finish(list(rows(JOBS, found, arrived)), list(checks(JOBS, found, arrived, [])))
    table = shown.getvalue().removeprefix(bars)
    assert all(job.id in bars and job.id in table for job in JOBS)
    assert "messages through the tracker" in bars
    assert table.count("Completed") == sum(job.expected is JobStatus.COMPLETED for job in JOBS)
