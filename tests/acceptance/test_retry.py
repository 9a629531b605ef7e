"""A failed job is retried: it is sent once more, and its earlier run no longer counts."""

import pytest

from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.kafka import wait_until
from tests.support.messages import failure, report
from tracker.metrics import DROPS


def urls(tracker: Deployment) -> list[str]:
    """Return the status URLs of the task messages that have started jobs, in their order."""
    return [record.json["tracking"]["statusCheckUrl"] for record in tracker.work()]


def fail(tracker: Deployment, task: str) -> None:
    tracker.process(tracker.event(report(task, "Failed", failure=failure("broke"))))


def test_it_is_sent_again_and_completes(tracker: Deployment) -> None:
    tracker.submit("a")
    tracker.start()
    tracker.wait_until_sent()
    tracker.process(tracker.message("acme:a.1"))
    fail(tracker, "acme:a.2*")
    assert (tracker.status("a"), tracker.percentage("a")) == ("Failed", 50)
    tracker.client.retry("acme:a")
    tracker.wait_until_sent()
    assert tracker.started() == ["acme:a", "acme:a"]
    assert (tracker.status("a"), tracker.percentage("a"), tracker.failures("a")) == ("Waiting", 0, [])
    first, second = urls(tracker)
    assert first != second
    # A message of the earlier run is dropped, and one of the new run counts.
    tracker.process(tracker.message("acme:a.1*", status_check_url=first))
    assert tracker.status("a") == "Waiting"
    assert tracker.count(DROPS, reason="stale") == 1
    tracker.process(tracker.message("acme:a.1*", status_check_url=second))
    assert (tracker.status("a"), tracker.look("a").percentage_complete) == ("Completed", 100)
    assert tracker.rows("SELECT attempt FROM job") == [(2,)]


def test_what_its_earlier_run_has_left_is_removed_also_without_retention(tracker: Deployment) -> None:
    tracker.submit("a")
    fail_before_start = tracker.event(report("acme:a.1.1", "Failed", failure=failure("broke")))
    tracker.start()
    tracker.process(fail_before_start)
    tracker.client.retry("acme:a")
    left = "SELECT (SELECT count(*) FROM removed_job) + (SELECT count(*) FROM sibling_tasks)"
    tracker.stop()
    assert tracker.rows(left) != [(0,)]
    tracker.start()
    wait_until(lambda: tracker.rows(left) == [(0,)], "removed")


@pytest.mark.parametrize("cascade", [False, True])
def test_a_repaired_graph_runs_from_its_root(deploy: Deploy, cascade: bool) -> None:
    tracker = deploy(TRACKER_PROPAGATE_FAILURES="true")
    tracker.client.submit([tracker.job("a"), tracker.job("b", "a"), tracker.job("c", "b")])
    tracker.start()
    tracker.wait_until_sent()
    fail(tracker, "acme:a")
    assert tracker.statuses("a", "b", "c") == ["Failed"] * 3
    tracker.client.retry("acme:a", cascade=cascade)
    for name in "bc" if not cascade else "":
        tracker.client.retry(f"acme:{name}")
    for name in "abc":
        tracker.wait_until_sent()
        assert tracker.started()[-1] == f"acme:{name}"
        tracker.process(tracker.event(report(f"acme:{name}", "Complete")))
    assert tracker.statuses("a", "b", "c") == ["Completed"] * 3
