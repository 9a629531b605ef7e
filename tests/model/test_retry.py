"""Failed jobs are started again in the model. T1 has two dependents, T2 and T3; T3 has a dependent, T4."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.examples import (
    JOB,
    Graph,
    complete,
    fail,
    four_jobs,
    graphs,
    progress,
    released,
    send_message,
    state,
    statuses,
    tracker_with,
)
from tests.support.messages import STATUS_CHECK_URL
from tests.support.model.histories import History, histories, permutations
from tests.support.model.naive import NaiveTracker
from tests.support.model.outcomes import Outcome, Refused
from tests.support.model.scripts import record_for
from tests.support.records import Record


def failed_and_retried() -> NaiveTracker:
    tracker = NaiveTracker()
    tracker.create_job(*JOB)
    fail(tracker, "acme:job.3*")
    tracker.retry(*JOB)
    return tracker


def test_a_retried_job_is_sent_once_more_without_its_tree() -> None:
    tracker = NaiveTracker()
    tracker.create_job(*JOB, name="a name", delay=5)
    tracker.advance(5)
    progress(tracker, "acme:job.2", 50)
    fail(tracker, "acme:job.3*")
    assert released(tracker.retry(*JOB)) == ["job"]  # the delay is over
    assert state(tracker) == ("Waiting", 0, [], [])
    assert (tracker.jobs[JOB].attempt, tracker.jobs[JOB].content["name"]) == (2, "a name")
    complete(tracker, "acme:job.1*")
    assert tracker.status(*JOB) == "Completed"


@pytest.mark.parametrize("before", [None, "pause", "cancel", "complete"])
def test_only_a_failed_job_is_retried(tracker: NaiveTracker, before: str | None) -> None:
    if before == "complete":
        complete(tracker, "acme:job")
    elif before:
        getattr(tracker, before)(*JOB)
    with pytest.raises(Refused):
        tracker.retry(*JOB)


def run_urls() -> tuple[NaiveTracker, list[str]]:
    """Return a tracker with a job that was retried, and the status URLs of its two runs."""
    tracker = NaiveTracker()
    outcomes = [tracker.create_job(*JOB)]
    fail(tracker, "acme:job.1")
    outcomes.append(tracker.retry(*JOB))
    return tracker, [str(outcome.released[0].message["tracking"]["statusCheckUrl"]) for outcome in outcomes]


def test_messages_of_the_earlier_run_are_stale() -> None:
    tracker, (first, second) = run_urls()
    assert send_message(tracker, status_check_url=first) == Outcome(dropped="stale")
    for url in (second, STATUS_CHECK_URL, None):
        outcome = send_message(tracker, status_check_url=url)
        assert (outcome.dropped, len(outcome.forwarded)) == (None, 1)


def test_events_of_the_earlier_run_count_because_they_name_no_run() -> None:
    tracker = failed_and_retried()
    fail(tracker, "acme:job.1")
    assert tracker.status(*JOB) == "Failed"


def test_a_dependent_runs_after_the_run_that_completes() -> None:
    tracker = four_jobs(propagate_failures=False)
    fail(tracker, "acme:T1.1")
    tracker.retry("acme", "T1")
    assert released(complete(tracker, "acme:T1.1*")) == ["T2", "T3"]


def test_one_that_failed_by_propagation_waits_again_for_what_has_not_completed() -> None:
    tracker = four_jobs(propagate_failures=True)
    tracker.create_job("acme", "other")
    tracker.create_job("acme", "T5", prerequisites=["T1", "other"], delay=9)
    fail(tracker, "acme:T1")
    complete(tracker, "acme:other")
    with pytest.raises(Refused):
        tracker.retry("acme", "T5")  # T1 has failed
    tracker.retry("acme", "T1")
    assert statuses(tracker) == ["Waiting", "Failed", "Failed", "Failed"]
    tracker.retry("acme", "T5")
    assert (tracker.status("acme", "T5"), tracker.unmet_prerequisites("acme", "T5")) == ("Waiting", ["T1"])
    assert released(complete(tracker, "acme:T1")) == []
    assert released(tracker.advance(9)) == ["T5"]


def test_a_cascade_takes_what_has_failed_because_of_the_same_job_and_nothing_else() -> None:
    tracker = four_jobs(propagate_failures=True)
    tracker.create_job("acme", "self", prerequisites=["T1"])
    tracker.create_job("acme", "after-self", prerequisites=["self"])
    fail(tracker, "acme:self")
    fail(tracker, "acme:T1")
    tracker.retry("acme", "T1", cascade=True)
    assert statuses(tracker) == ["Waiting"] * 4
    assert [tracker.status("acme", name) for name in ("self", "after-self")] == ["Failed", "Failed"]


def test_a_retry_that_is_refused_changes_nothing() -> None:
    tracker = four_jobs(propagate_failures=True)
    fail(tracker, "acme:T1")
    with pytest.raises(Refused):
        tracker.retry("acme", "T3", cascade=True)
    assert statuses(tracker) == ["Failed"] * 4


@given(graphs(), st.sets(st.integers(1, 7)))
@settings(deadline=None)
def test_a_cascade_puts_back_what_a_propagation_has_taken(graph: Graph, cancelled: set[int]) -> None:
    """All but the jobs that can never run, because one upstream is cancelled."""
    tracker = tracker_with(graph, propagate_failures=True)
    for number in cancelled & set(graph):
        tracker.cancel("acme", str(number))
    before = {key: (job.status, set(job.unmet)) for key, job in tracker.jobs.items()}
    fail(tracker, "acme:0.1", "why")
    failed = {number for number in graph if tracker.status("acme", str(number)) == "Failed"}
    stuck = set(cancelled)
    for number in sorted(graph):  # each job comes after its prerequisites
        if number in failed and graph[number] & stuck:
            stuck.add(number)
    tracker.retry("acme", "0", cascade=True)
    for number in graph:
        job = tracker.jobs["acme", str(number)]
        if number in failed & stuck:
            assert (job.status, job.attempt) == ("Failed", 1)
        else:
            assert (job.status, job.unmet) == before[job.key]
            assert job.attempt == (2 if number in failed else 1)


def after(batches: list[list[Record]], tracker: NaiveTracker) -> tuple[Any, ...]:
    for batch in batches:
        tracker.process_batch(batch)
    return state(tracker)


@given(st.data(), histories(["fails"]))
@settings(max_examples=100, deadline=None)
def test_a_second_run_is_like_a_first(data: st.DataObject, first: History) -> None:
    random = data.draw(st.randoms(use_true_random=False))
    second = data.draw(histories(["completes", "fails", "unfinished"]))
    retried, fresh = NaiveTracker(), NaiveTracker()
    for tracker in (retried, fresh):
        tracker.create_job(*JOB)
    after([[record_for(random, step)] for step in [*first.script.body, *first.script.tail]], retried)
    retried.retry(*JOB)
    batches = data.draw(permutations(second.script))
    assert after(batches, retried) == after(batches, fresh)
