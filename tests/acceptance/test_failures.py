"""The details of failed tasks."""

from typing import Any

import msgspec
import pytest

from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.messages import OMIT, failure, report
from tests.support.times import is_recent


def failed(task: str, **details: Any) -> dict[str, Any]:
    return report(f"acme:{task}", "Failed", failure=failure(**details))


def test_every_failed_task_is_listed_with_its_details(running: Deployment) -> None:
    tasks = [f"job.{number}" for number in range(1, 31)]
    running.process(running.event(*(failed(task, message=f"{task} broke") for task in tasks)))
    listed = {each["jobTaskId"]: each["failureMessage"] for each in running.failures("job")}
    assert listed == {f"acme:{task}": f"{task} broke" for task in tasks}
    first = running.failures("job")[0]
    assert (first["failureId"], first["failureSource"]) == ("E1", "worker-document")


def test_the_job_keeps_a_summary_of_bounded_size(running: Deployment) -> None:
    running.process(running.event(*(failed(f"job.{number}") for number in range(1, 1_001))))
    shown = running.look("job").failures
    assert 0 < len(shown) <= 10
    [(summary,)] = running.rows("SELECT failure_summary FROM job")
    lines = [msgspec.json.decode(line) for line in summary.splitlines()]
    assert [line["jobTaskId"] for line in lines] == [msgspec.to_builtins(each)["jobTaskId"] for each in shown]


def test_a_task_that_fails_again_is_listed_once_with_the_last_details(running: Deployment) -> None:
    running.process(running.event(failed("job.1", message="first")))
    running.process(running.event(failed("job.1", message="second"), failed("job.1*", message="third")))
    assert [each["failureMessage"] for each in running.failures("job")] == ["third"]


def test_a_task_that_completes_after_all_is_listed_no_more(running: Deployment) -> None:
    running.process(running.event(failed("job.1"), failed("job.2.1"), failed("job.2.2"), failed("job.3")))
    complete = (report("acme:job.1", "Complete"), report("acme:job.2", "Complete"))
    running.process(running.event(*complete))
    assert [each["jobTaskId"] for each in running.failures("job")] == ["acme:job.3"]
    assert len(running.look("job").failures) == 1
    running.process(running.event(report("acme:job", "Complete")))
    assert (running.failures("job"), running.look("job").failures) == ([], [])


def test_the_job_itself_can_be_what_failed(running: Deployment) -> None:
    running.process(running.event(failed("job")))
    assert [each["jobTaskId"] for each in running.failures("job")] == ["acme:job"]


@pytest.mark.parametrize("given", [{}, {"failure": None}, {"failure": {}}])
def test_a_failure_without_details_is_unspecified(running: Deployment, given: dict[str, Any]) -> None:
    running.process(running.event(report("acme:job.1", "Failed", **given)))
    [shown] = running.failures("job")
    assert shown["failureId"] == "unspecified"
    assert is_recent(shown["failureTime"])


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (1_700_000_000_123, 1_700_000_000_123),
        ("2023-11-14T22:13:20.123Z", 1_700_000_000_123),
        ("2023-11-14T23:13:20.123+01:00", 1_700_000_000_123),
        (0, 0),
    ],
)
def test_a_failures_time_is_shown_in_milliseconds(running: Deployment, given: Any, shown: int) -> None:
    running.process(running.event(failed("job.1", failureTime=given)))
    assert [each["failureTime"] for each in running.failures("job")] == [shown]


def test_a_failure_without_time_has_that_of_its_report(running: Deployment) -> None:
    running.process(running.event(failed("job.1", failureTime=OMIT)))
    assert is_recent(running.failures("job")[0]["failureTime"])


def test_a_long_failure_message_is_cut_and_says_so(deploy: Deploy) -> None:
    tracker = deploy(TRACKER_MAX_FAILURE_CHARS="100")
    tracker.submit("job")
    tracker.start(scheduler=False)
    message = tracker.message("acme:job.1", status="INVALID_TASK", task_data=b"x" * 101)
    tracker.process(message, tracker.event(failed("job.2", message="y" * 100)))
    cut, whole = (each["failureMessage"] for each in tracker.failures("job"))
    assert len(cut) <= 100
    assert cut.startswith("xxx")
    assert "101" in cut
    assert whole == "y" * 100


def test_10_000_characters_of_a_failure_message_are_kept(running: Deployment) -> None:
    running.process(running.event(failed("job.1", message="é" * 10_000)))
    assert [each["failureMessage"] for each in running.failures("job")] == ["é" * 10_000]
