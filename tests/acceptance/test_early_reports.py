"""What is reported of a job before it is sent does not keep it from being sent, unless it ends the job."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from tests.support.deployment import ACME, Deployment
from tests.support.kafka import wait_until
from tests.support.messages import report
from tests.support.records import Record
from tracker import NewTask
from tracker.metrics import HELD_DROPPED, PENDING_DROPPED

Early = Callable[[Deployment], Record]

EARLY: dict[str, Early] = {
    "progress": lambda tracker: tracker.progress("acme:b.1", 10),
    "a completed task": lambda tracker: tracker.event(report("acme:b.1", "Complete")),
    "a message that completes a task": lambda tracker: tracker.message("acme:b.1"),
    "a message whose tracking continues": lambda tracker: tracker.more_work("acme:b.1"),
}
ENDS = {"completed": "Complete", "failed": "Failed"}


def complete_a(tracker: Deployment) -> None:
    tracker.process(tracker.event(report("acme:a", "Complete")))


@pytest.fixture
def waiting(tracker: Deployment) -> Deployment:
    """A deployment that runs, with a job `b` that waits for `a`, which was sent."""
    tracker.submit("a")
    tracker.submit("b", "a")
    tracker.start()
    tracker.wait_until_sent()
    return tracker


@pytest.mark.parametrize("early", EARLY)
def test_the_last_prerequisite_releases_it(waiting: Deployment, early: str) -> None:
    waiting.process(EARLY[early](waiting))
    complete_a(waiting)
    waiting.wait_until_sent()
    assert waiting.started() == ["acme:a", "acme:b"]
    assert waiting.rows("SELECT count(*) FROM task_message WHERE sent_time IS NULL") == [(0,)]
    assert waiting.count(PENDING_DROPPED) == 0


def test_a_report_in_the_batch_that_completes_the_last_prerequisite(waiting: Deployment) -> None:
    waiting.process(waiting.event(report("acme:b.1", "Progress", 10), report("acme:a", "Complete")))
    waiting.wait_until_sent()
    assert waiting.started() == ["acme:a", "acme:b"]


@pytest.mark.parametrize("when", ["before", "while", "resumed before"])
def test_a_paused_one_is_sent_once_it_is_resumed(waiting: Deployment, when: str) -> None:
    if when == "before":
        waiting.process(waiting.progress("acme:b.1", 10))
    waiting.client.pause("acme:b")
    if when != "before":
        waiting.process(waiting.progress("acme:b.1", 10))
    if when == "resumed before":
        waiting.client.resume("acme:b")
    complete_a(waiting)
    waiting.client.resume("acme:b")
    waiting.wait_until_sent()
    assert waiting.started() == ["acme:a", "acme:b"]


def test_it_is_sent_after_its_delay(tracker: Deployment) -> None:
    tracker.submit("b", delay=2)
    tracker.start()
    tracker.process(tracker.progress("acme:b.1", 10))
    wait_until(lambda: tracker.started() == ["acme:b"], "sent")
    tracker.wait_until_sent()


def test_it_is_sent_once_its_partition_id_is_resumed(tracker: Deployment) -> None:
    tracker.client.suspend_partition(ACME)
    tracker.submit("b")
    tracker.start()
    tracker.process(tracker.progress("acme:b.1", 10))
    assert tracker.started() == []
    tracker.client.resume_partition(ACME)
    tracker.wait_until_sent()
    assert tracker.started() == ["acme:b"]


def test_it_is_sent_once_its_topic_exists(waiting: Deployment) -> None:
    later = waiting.topics.work + "-later"
    task = NewTask(task_classifier="C", task_api_version=1, task_data={}, task_pipe=later)
    waiting.submit("c", "a", task=task)
    complete_a(waiting)
    postponed = "SELECT count(*) FROM task_message WHERE eligible_time > now()"
    wait_until(lambda: waiting.rows(postponed) == [(1,)], "postponed")
    waiting.process(waiting.progress("acme:c.1", 10))
    waiting.kafka.create({later: 1})
    wait_until(lambda: [each.task for each in waiting.kafka.read(later)] == ["acme:c"], "sent")
    waiting.wait_until_sent()


# --- one that has ended is not sent; what is dropped is counted, and named in the log


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as captured:
        yield captured


def dropped(lines: list[Any], event: str) -> list[tuple[str, str]]:
    """Return reason and job of each line on an event."""
    return [(line["reason"], line["job"]) for line in lines if line["event"] == event]


def wait_until_counted(tracker: Deployment, metric: Any, count: int, reason: str) -> None:
    wait_until(lambda: tracker.count(metric) >= count, "counted")
    assert tracker.count(metric) == tracker.count(metric, reason=reason) == count
    assert tracker.rows("SELECT * FROM dropped_work") == []


@pytest.mark.parametrize("end", ["cancelled", "deleted", "completed", "failed"])
def test_one_that_has_ended_is_not_released(waiting: Deployment, lines: list[Any], end: str) -> None:
    end_early(waiting, "b", end)
    complete_a(waiting)
    waiting.wait_until_sent()
    assert waiting.started() == ["acme:a"]
    wait_until_counted(waiting, PENDING_DROPPED, 1, end)
    assert dropped(lines, "jobs not sent") == [(end, "acme:b")]


@pytest.mark.parametrize("end", ["cancelled", "deleted", "completed", "failed"])
def test_one_that_has_ended_is_not_sent_after_its_delay(tracker: Deployment, end: str) -> None:
    tracker.submit("b", delay=2)
    tracker.start()
    end_early(tracker, "b", end)
    due = "SELECT count(*) FROM task_message WHERE eligible_time IS NOT NULL"
    wait_until(lambda: tracker.rows(due) == [(0,)], "no longer due")
    wait_until_counted(tracker, PENDING_DROPPED, 1, end)
    assert tracker.started() == []


def end_early(tracker: Deployment, job_id: str, end: str) -> None:
    if end in ENDS:
        tracker.process(tracker.event(report(f"acme:{job_id}", ENDS[end])))
    else:
        {"cancelled": tracker.client.cancel, "deleted": tracker.client.delete}[end](f"acme:{job_id}")


@pytest.mark.parametrize("end", ["cancelled", "deleted", "completed", "failed"])
def test_what_is_held_for_a_job_that_ends_is_counted(waiting: Deployment, lines: list[Any], end: str) -> None:
    waiting.client.pause("acme:a")
    waiting.process(*(waiting.more_work(f"acme:a.{number}") for number in range(1, 4)))
    end_early(waiting, "a", end)
    wait_until_counted(waiting, HELD_DROPPED, 3, end)
    assert dropped(lines, "held messages dropped") == [(end, "acme:a")]
    [line] = [line for line in lines if line["event"] == "held messages dropped"]
    assert line["occurrences"] == 3


def test_many_cancelled_jobs_are_one_line(waiting: Deployment, lines: list[Any]) -> None:
    names = [f"many-{number}" for number in range(50)]
    waiting.client.submit([waiting.job(name, "a") for name in names])
    waiting.client.cancel([f"acme:{name}" for name in names])
    wait_until_counted(waiting, PENDING_DROPPED, 50, "cancelled")
    [line] = [line for line in lines if line["event"] == "jobs not sent"]
    assert (line["job"], line["occurrences"]) == ("acme:many-0", 50)
