"""A failure, and those that wait for the job that failed."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.kafka import wait_until
from tests.support.messages import failure, report
from tracker.metrics import HELD_DROPPED, PENDING_DROPPED

Start = Callable[..., Deployment]


@pytest.fixture(params=["TRACKER_PROPAGATE_FAILURES", "CAF_JOB_TRACKING_PROPAGATE_FAILURES"])
def propagating(request: pytest.FixtureRequest, deploy: Deploy) -> Deployment:
    """A deployment that propagates failures, by either name of the setting."""
    return deploy(**{request.param: "true"})


@pytest.fixture
def four_jobs(deploy: Deploy) -> Start:
    """T1 has two dependents, T2 and T3; T3 has a dependent, T4."""

    def start(propagate_failures: str) -> Deployment:
        tracker = deploy(TRACKER_PROPAGATE_FAILURES=propagate_failures)
        submit(tracker, T1="", T2="T1", T3="T1", T4="T3")
        tracker.start()
        tracker.wait_until_sent()
        assert tracker.started() == ["acme:T1"]
        return tracker

    return start


def submit(tracker: Deployment, **prerequisites: str) -> None:
    tracker.client.submit([tracker.job(name, *names.split()) for name, names in prerequisites.items()])


def fail(tracker: Deployment, *tasks: str) -> None:
    """Have one event fail tasks."""
    reports = [report(f"acme:{task}", "Failed", failure=failure(f"{task} broke")) for task in tasks]
    tracker.process(tracker.event(*reports))


def complete(tracker: Deployment, *tasks: str) -> None:
    tracker.process(tracker.event(*(report(f"acme:{task}", "Complete") for task in tasks)))


def root_failure(tracker: Deployment, job_id: str) -> dict[str, Any]:
    """Return the one entry of a job that failed because of another."""
    [entry] = tracker.failures(job_id)
    assert [entry] == [entry for entry in tracker.failures(job_id) if "root_failure" in entry]
    return entry


# --- the example: T1 has two dependents, T2 and T3; T3 has a dependent, T4


def test_true_when_t1_fails_t2_t3_and_t4_are_marked_failed(four_jobs: Start) -> None:
    tracker = four_jobs("true")
    fail(tracker, "T1")
    assert tracker.statuses("T1", "T2", "T3", "T4") == ["Failed"] * 4
    assert [tracker.percentage(job) for job in ("T2", "T3", "T4")] == [0, 0, 0]
    for job in ("T2", "T3", "T4"):
        entry = root_failure(tracker, job)
        assert entry["root_failure"] == "acme:T1"
        [details] = entry["failure_details"]
        assert (details["jobTaskId"], details["failureMessage"]) == ("acme:T1", "T1 broke")
    tracker.wait_until_sent()
    assert tracker.started() == ["acme:T1"]  # none of them can ever run


def test_false_when_t1_fails_they_stay_waiting_and_run_if_t1_is_repaired(four_jobs: Start) -> None:
    tracker = four_jobs("false")
    fail(tracker, "T1")
    assert tracker.statuses("T1", "T2", "T3", "T4") == ["Failed", "Waiting", "Waiting", "Waiting"]
    complete(tracker, "T1")
    assert sorted(tracker.started()) == ["acme:T1", "acme:T2", "acme:T3"]
    complete(tracker, "T3")
    assert sorted(tracker.started()) == ["acme:T1", "acme:T2", "acme:T3", "acme:T4"]


def test_what_failed_by_propagation_stays_failed_when_the_root_is_repaired(four_jobs: Start) -> None:
    tracker = four_jobs("true")
    fail(tracker, "T1")
    complete(tracker, "T1")
    tracker.wait_until_sent()
    assert tracker.statuses("T1", "T2", "T3", "T4") == ["Completed", "Failed", "Failed", "Failed"]
    assert tracker.started() == ["acme:T1"]


# --- graphs


def test_failures_are_not_propagated_by_default(tracker: Deployment) -> None:
    submit(tracker, a="", b="a")
    tracker.start(scheduler=False)
    fail(tracker, "a")
    assert tracker.statuses("a", "b") == ["Failed", "Waiting"]


def test_both_names_of_the_setting_work(propagating: Deployment) -> None:
    submit(propagating, a="", b="a")
    propagating.start(scheduler=False)
    fail(propagating, "a.1.2")
    assert propagating.statuses("a", "b") == ["Failed", "Failed"]
    assert root_failure(propagating, "b")["failure_details"][0]["jobTaskId"] == "acme:a.1.2"


def start(deploy: Deploy, **prerequisites: str) -> Deployment:
    tracker = deploy(TRACKER_PROPAGATE_FAILURES="true")
    submit(tracker, **prerequisites)
    tracker.start(scheduler=False)
    return tracker


def test_a_failed_message_propagates_like_an_event(deploy: Deploy) -> None:
    tracker = start(deploy, a="", b="a")
    tracker.process(tracker.message("acme:a.1", status="RESULT_EXCEPTION", task_data=b"why"))
    assert tracker.statuses("a", "b") == ["Failed", "Failed"]
    assert root_failure(tracker, "b")["failure_details"][0]["failureMessage"] == "why"


def test_a_failure_goes_down_a_chain_of_any_depth(deploy: Deploy) -> None:
    names = [f"link-{number}" for number in range(2_000)]
    tracker = start(deploy)
    tracker.client.submit(
        [tracker.job(name, *before) for name, before in zip(names, [[], *([n] for n in names)], strict=False)]
    )
    fail(tracker, names[0])
    assert tracker.client.count(status="Failed") == len(names)
    assert root_failure(tracker, names[-1])["root_failure"] == "acme:link-0"


def test_a_failure_goes_through_a_lattice_of_diamonds_once(deploy: Deploy) -> None:
    """Each of 15 layers waits for all of the layer before: 4 billion ways through it."""
    tracker = start(deploy)
    layers = [[f"layer-{layer}-{number}" for number in range(4)] for layer in range(15)]
    jobs = [tracker.job(name) for name in layers[0]]
    for before, layer in pairwise(layers):
        jobs += [tracker.job(name, *before) for name in layer]
    tracker.client.submit(jobs)
    fail(tracker, layers[0][0])
    assert tracker.client.count(status="Failed") == 1 + 14 * 4
    assert tracker.client.count(status="Waiting") == 3


def test_a_failure_reaches_10_000_dependents(deploy: Deploy) -> None:
    tracker = start(deploy)
    tracker.client.submit(
        [tracker.job("root"), *(tracker.job(f"dependent-{number}", "root") for number in range(10_000))]
    )
    fail(tracker, "root")
    assert tracker.client.count(status="Failed") == 10_001
    assert tracker.rows("SELECT count(*) FROM prerequisite") == [(10_000,)]


def test_a_job_fails_though_its_other_prerequisites_may_complete(deploy: Deploy) -> None:
    tracker = start(deploy, bad="", good="", b="bad good")
    fail(tracker, "bad")
    complete(tracker, "good")
    assert (tracker.status("b"), tracker.started()) == ("Failed", [])
    assert tracker.look("b").prerequisite_job_ids == ["bad"]


def test_several_failures_in_one_batch_propagate(deploy: Deploy) -> None:
    tracker = start(deploy, a="", b="", of_a="a", of_b="b", of_both="a b", below="of_both")
    fail(tracker, "a", "b")
    assert tracker.client.count(status="Failed") == 6
    assert root_failure(tracker, "of_a")["root_failure"] == "acme:a"
    assert root_failure(tracker, "of_b")["root_failure"] == "acme:b"
    assert root_failure(tracker, "below")["root_failure"] in ("acme:a", "acme:b")


def test_jobs_that_have_ended_are_left_as_they_are(deploy: Deploy) -> None:
    tracker = start(deploy, a="", cancelled="a", below="cancelled", completed="a", active="a", paused="a")
    tracker.client.cancel("acme:cancelled")
    tracker.client.pause("acme:paused")
    complete(tracker, "completed")
    tracker.process(tracker.progress("acme:active", 5))
    fail(tracker, "a")
    assert tracker.statuses("cancelled", "below", "completed") == ["Cancelled", "Waiting", "Completed"]
    assert tracker.statuses("active", "paused") == ["Failed", "Failed"]


def test_a_failure_stays_within_its_partition_id(deploy: Deploy) -> None:
    tracker = start(deploy, a="")
    tracker.submit("a", partition_id="other")
    tracker.submit("b", "a", partition_id="other")
    fail(tracker, "a")
    assert tracker.client.get("other:b").status == "Waiting"


def test_messages_of_a_job_that_failed_by_propagation_are_dropped(deploy: Deploy) -> None:
    tracker = start(deploy, a="", b="a")
    fail(tracker, "a")
    tracker.process(tracker.more_work("acme:b.1"))
    assert tracker.work() == []


def test_a_job_that_failed_by_propagation_can_still_complete(deploy: Deploy) -> None:
    tracker = start(deploy, a="", b="a")
    fail(tracker, "a")
    tracker.process(tracker.progress("acme:b.1", 50))
    assert tracker.status("b") == "Failed"
    complete(tracker, "b")
    assert (tracker.status("b"), tracker.percentage("b"), tracker.failures("b")) == ("Completed", 100, [])


def test_workers_may_fail_jobs_of_one_graph_at_the_same_moment(deploy: Deploy) -> None:
    tracker = deploy(TRACKER_PROPAGATE_FAILURES="true", partitions=2)
    roots = [f"root-{number}" for number in range(40)]
    shared = [tracker.job(f"shared-{number}", *roots[number::4]) for number in range(4)]
    tracker.client.submit([*(tracker.job(root) for root in roots), *shared, tracker.job("end", "shared-0")])
    tracker.start(workers=2, scheduler=False)
    for number, root in enumerate(roots):
        event = tracker.event(report(f"acme:{root}", "Failed"))
        tracker.kafka.produce(event, tracker.topics.tracking, number % 2)
    tracker.kafka.flush()
    tracker.wait_until_processed()
    assert tracker.client.count(status="Failed") == 45


def test_held_messages_of_jobs_that_can_never_run_are_dropped_and_counted(four_jobs: Start) -> None:
    tracker = four_jobs("true")
    tracker.client.pause("acme:T2")
    tracker.process(tracker.more_work("acme:T2.1"))
    fail(tracker, "T1")
    wait_until(lambda: tracker.count(HELD_DROPPED) >= 1, "counted")
    assert tracker.count(HELD_DROPPED, reason="prerequisite_failed") == tracker.count(HELD_DROPPED) == 1
    assert tracker.count(PENDING_DROPPED) == 0


def test_what_the_jobs_waited_for_and_their_task_messages_are_kept(four_jobs: Start) -> None:
    tracker = four_jobs("true")
    fail(tracker, "T1")
    edges = tracker.rows(
        "SELECT job_id, prerequisite_job_id, root_job_id, end_time = last_update_time"
        " FROM prerequisite JOIN job USING (tenant_key, job_key) ORDER BY job_id"
    )
    assert edges == [("T2", "T1", "T1", True), ("T3", "T1", "T1", True), ("T4", "T3", "T1", True)]
    waiting = "SELECT job_id, unmet FROM task_message JOIN job USING (tenant_key, job_key) WHERE unmet > 0"
    assert sorted(tracker.rows(waiting)) == [("T2", 1), ("T3", 1), ("T4", 1)]
    # The root is repaired: what waited for it alone stays Failed, and is not sent.
    tracker.process(tracker.event(report("acme:T1", "Complete")))
    wait_until(
        lambda: sorted(tracker.rows("SELECT job_id, eligible_time FROM task_message"
                                    " JOIN job USING (tenant_key, job_key)"))
        == [("T2", None), ("T3", None), ("T4", None)],
        "looked at by the scheduler",
    )  # fmt: skip
    assert tracker.client.count(status="Failed") == 3
    assert sorted(tracker.rows(waiting)) == [("T4", 1)]
