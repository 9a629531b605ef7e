"""What is dropped, ignored or refused, and contradictions: the log names a job and a task of each kind."""

from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from tests.support.deployment import Deployment
from tests.support.messages import report

LINES = {
    "dropped": "messages dropped",
    "ignored": "reports ignored",
    "dead": "dead letters",
    "contradiction": "messages disagree about how many children a task has",
    "untracked": "messages that name no task are forwarded and not reported",
}


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as captured:
        yield captured


def found(lines: list[Any], what: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["event"] == LINES[what]]


@pytest.mark.parametrize("reason", ["cancelled", "unknown_job", "completed", "failed", "stale"])
def test_dropped_messages(running: Deployment, lines: list[Any], reason: str) -> None:
    if reason == "cancelled":
        running.client.cancel("acme:job")
    elif reason in ("completed", "failed"):
        status = {"completed": "Complete", "failed": "Failed"}[reason]
        running.process(running.event(report("acme:job", status)))
    job = "acme:nobody" if reason == "unknown_job" else "acme:job"
    url = "/status?run=zzz" if reason == "stale" else None
    running.process(*(running.message(f"{job}.{n}.7*", status_check_url=url) for n in (1, 2)))
    [line, *_] = found(lines, "dropped")
    assert (line["reason"], line["job"]) == (reason, job)
    assert line["task"] in (f"{job}.1.7*", f"{job}.2.7*")
    assert (line["topic"], line["kafka_partition"]) == (running.topics.tracking, line["kafka_partition"])


@pytest.mark.parametrize("reports", [[("3", "Complete")], [("3.4", "Progress"), ("3.5", "Progress")]])
def test_ignored_reports(running: Deployment, lines: list[Any], reports: list[tuple[str, str]]) -> None:
    running.client.cancel("acme:job")
    running.process(running.event(*(report(f"acme:job.{task}", status, 5) for task, status in reports)))
    [line] = found(lines, "ignored")
    assert (line["reason"], line["job"], line["task"]) == (
        "cancelled",
        "acme:job",
        f"acme:job.{reports[0][0]}",
    )
    assert line.get("occurrences", 1) == len(reports)


def test_dead_letters(running: Deployment, lines: list[Any]) -> None:
    running.process(running.message("acme:job.1", to="nowhere"), running.message("acme:job.0"))
    assert {(line["reason"], line["job"], line["task"]) for line in found(lines, "dead")} == {
        ("destination-unknown", "acme:job", "acme:job.1"),
        ("bad-job-task-id", "acme:job", "acme:job.0"),
    }


def test_a_dead_letter_that_cannot_be_read_is_named_by_its_offset(
    running: Deployment, lines: list[Any]
) -> None:
    record = running.message("acme:job.1")
    running.process(record._replace(value=b"{"))
    [line] = found(lines, "dead")
    assert (line["reason"], line["topic"], line["offset"]) == ("not-json", running.topics.tracking, 0)
    assert "job" not in line


def test_contradictions(running: Deployment, lines: list[Any]) -> None:
    running.process(running.message("acme:job.3.2*"), running.message("acme:job.3.5"))
    [line] = found(lines, "contradiction")
    assert (line["job"], line["task"]) == ("acme:job", "acme:job.3.5")


def test_messages_that_name_no_task(running: Deployment, lines: list[Any]) -> None:
    running.process(running.more_work("acme:job.1"), running.message(None, to=running.topics.work))
    [line] = found(lines, "untracked")
    assert line["topic"] == running.topics.tracking
    assert "task" not in line


def test_thousands_are_one_line(running: Deployment, lines: list[Any]) -> None:
    running.client.cancel("acme:job")
    running.process(*(running.message(f"acme:job.{number}") for number in range(1, 3_001)))
    shown = found(lines, "dropped")
    assert len(shown) < 20  # one in ten seconds
    assert sum(line.get("occurrences", 1) for line in shown) <= 3_000
