"""How a failure propagates in the model. T1 has two dependents, T2 and T3; T3 has a dependent, T4."""

from tests.model.examples import complete, fail, four_jobs, released, statuses


def test_a_failure_is_propagated_to_all_that_can_never_run() -> None:
    tracker = four_jobs(propagate_failures=True)
    fail(tracker, "acme:T1.1", "why")
    assert statuses(tracker) == ["Failed"] * 4
    for job in ("T2", "T3", "T4"):
        (shown,) = tracker.failures("acme", job)
        assert shown["root_failure"] == "acme:T1"
        assert [each["failureMessage"] for each in shown["failure_details"]] == ["why"]
        assert tracker.percentage("acme", job) == 0
        assert tracker.unmet_prerequisites("acme", job) == ["T3" if job == "T4" else "T1"]


def test_a_propagated_failure_stays_when_the_root_is_repaired() -> None:
    tracker = four_jobs(propagate_failures=True)
    fail(tracker, "acme:T1")
    assert released(complete(tracker, "acme:T1")) == []
    assert statuses(tracker) == ["Completed", "Failed", "Failed", "Failed"]


def test_without_propagation_they_wait_and_run_when_the_root_is_repaired() -> None:
    tracker = four_jobs(propagate_failures=False)
    fail(tracker, "acme:T1")
    assert statuses(tracker) == ["Failed", "Waiting", "Waiting", "Waiting"]
    assert released(complete(tracker, "acme:T1")) == ["T2", "T3"]


def test_propagation_goes_through_a_diamond_once() -> None:
    tracker = four_jobs(propagate_failures=True)
    tracker.create_job("acme", "T5", prerequisites=["T2", "T4"])
    assert sorted(job for _, job in fail(tracker, "acme:T1").propagated) == ["T2", "T3", "T4", "T5"]


def test_propagation_reaches_paused_and_resumed_jobs_but_not_cancelled_ones() -> None:
    tracker = four_jobs(propagate_failures=True)
    tracker.pause("acme", "T2")
    tracker.cancel("acme", "T3")
    tracker.create_job("acme", "T5", prerequisites=["T1"])
    tracker.pause("acme", "T5")
    tracker.resume("acme", "T5")
    fail(tracker, "acme:T1")
    assert [*statuses(tracker), tracker.status("acme", "T5")] == [
        "Failed",
        "Failed",
        "Cancelled",
        "Waiting",
        "Failed",
    ]


def test_a_failure_propagates_past_prerequisites_that_can_still_complete() -> None:
    tracker = four_jobs(propagate_failures=True)
    tracker.create_job("acme", "other")
    tracker.create_job("acme", "T5", prerequisites=["T1", "other"])
    fail(tracker, "acme:T1")
    assert released(complete(tracker, "acme:other")) == []
    assert tracker.status("acme", "T5") == "Failed"
