"""What the tracker leaves for `tracker job show`, lists by last update, and `job why` of many jobs."""

import json
import shlex
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.deployment import ACME, Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.messages import failure, report
from tracker.cli.commands import app


def typed(tracker: Deployment, command: str) -> list[Any]:
    """Return the objects that a command prints."""
    result = CliRunner().invoke(app, shlex.split(command), env=tracker.variables)
    assert (result.exit_code, result.exception) == (0, None), result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def show(tracker: Deployment, job_id: str) -> dict[str, Any]:
    [found] = typed(tracker, f"job show --json {ACME}:{job_id}")
    return dict(found)


def fail(tracker: Deployment, task: str) -> None:
    tracker.process(tracker.event(report(task, "Failed", failure=failure("it broke"))))


def test_a_job_is_shown_on_its_way(tracker: Deployment) -> None:
    tracker.client.submit([tracker.job("a"), tracker.job("b", "a", delay=3600)])
    assert show(tracker, "a")["sentTime"] is None
    assert show(tracker, "b")["prerequisites"] == [{"id": "a", "status": "Waiting", "percentageComplete": 0}]
    tracker.start()
    tracker.wait_until_sent()
    found = show(tracker, "a")
    assert found["createTime"] <= found["sentTime"]
    tracker.process(tracker.progress("acme:a.1*", 50))
    [prerequisite] = show(tracker, "b")["prerequisites"]
    assert (prerequisite["status"], prerequisite["percentageComplete"]) == ("Active", 50)
    tracker.client.pause("acme:a")
    tracker.process(tracker.more_work("acme:a.1.1"), tracker.more_work("acme:a.1.2"))
    assert show(tracker, "a")["heldMessages"] == 2
    tracker.client.resume("acme:a")
    tracker.process(tracker.message("acme:a.1.3", to="no-such-topic", track_to="no-such-topic"))
    fail(tracker, "acme:a.1.1")
    tracker.process(tracker.message("acme:a.1.2"))
    found = show(tracker, "a")
    assert (found["deadLetters"], found["droppedMessages"], found["attempt"]) == (1, 1, 1)
    tracker.client.retry("acme:a")
    found = show(tracker, "a")
    assert (found["deadLetters"], found["droppedMessages"], found["attempt"]) == (0, 0, 2)
    tracker.wait_until_sent()
    tracker.process(tracker.event(report("acme:a", "Complete")))
    found, dependent = show(tracker, "a"), show(tracker, "b")
    assert (found["status"], found["sentTime"], dependent["prerequisites"]) == ("Completed", None, [])
    assert dependent["delayUntil"] == found["lastUpdateTime"] + 3_600_000


def test_lists_by_last_update_have_the_completed_jobs_in_their_place(tracker: Deployment) -> None:
    names = ["a", "b", "c", "d", "e"]
    tracker.client.submit([tracker.job(name) for name in names])
    tracker.start()
    tracker.wait_until_sent()
    for name, status in (("c", "Complete"), ("a", None), ("e", "Complete"), ("b", "Complete"), ("d", None)):
        record = (
            tracker.event(report(f"acme:{name}", status)) if status else tracker.progress(f"acme:{name}", 5)
        )
        tracker.process(record)
    assert tracker.rows("SELECT count(end_time) FROM job WHERE end_time = last_update_time") == [(3,)]
    for sort, expected in (("lastUpdateTime", "caebd"), ("-lastUpdateTime", "dbeac")):
        for partition in ("", f"--partition {ACME}"):
            listed = typed(tracker, f"job list --json --limit 4 --sort {sort} {partition}")
            assert [each["id"] for each in listed] == list(expected[:4])


@pytest.mark.parametrize("propagate", [False, True])
def test_jobs_are_counted_by_the_reason_for_which_they_stand(deploy: Deploy, propagate: bool) -> None:
    tracker = deploy(TRACKER_PROPAGATE_FAILURES=str(propagate).lower())
    tracker.client.submit(
        [
            tracker.job("nightly"), tracker.job("middle", "nightly"), tracker.job("other"),
            *(tracker.job(f"w{number}", "middle") for number in range(5)),
            *(tracker.job(f"o{number}", "other") for number in range(3)),
        ]
    )  # fmt: skip
    tracker.start()
    tracker.wait_until_sent()
    fail(tracker, "acme:nightly")
    tracker.client.pause(["acme:o0", "acme:o1"])
    summary = typed(tracker, "job why --all-matching --summary --json")
    found = {(each["code"], each["subject"]): each["count"] for each in summary}
    downstream = ("ended", None) if propagate else ("unmet-prerequisites", "acme:nightly")
    assert found == {
        downstream: 6,
        ("paused", None): 2,
        ("failed-tasks", None): 1,
        ("unmet-prerequisites", "acme:other"): 1,
        ("missing-tasks", None): 1,
    }
    waiting = typed(tracker, "job list --json --limit 0 --waiting-for acme:nightly --transitive --sort id")
    assert [each["id"] for each in waiting] == ["middle", "w0", "w1", "w2", "w3", "w4"]
    rows = typed(tracker, "job why --all-matching --json --waiting-for acme:nightly --transitive")
    assert {each["reasons"][0]["code"] for each in rows} == {downstream[0]}
    assert len(rows) == 6
