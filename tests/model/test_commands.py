"""What users can do to jobs in the model: cancel, pause, resume, delete."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.examples import (
    JOB,
    Graph,
    four_jobs,
    graphs,
    send_event,
    send_message,
    statuses,
    tracker_with,
)
from tests.support.messages import report
from tests.support.model.naive import NaiveTracker
from tests.support.model.outcomes import NotFound, Outcome, Refused


def test_what_would_make_more_work_is_held_while_a_job_is_paused_and_sent_in_order(
    tracker: NaiveTracker,
) -> None:
    tracker.pause(*JOB)
    outcomes = [send_message(tracker, f"acme:job.{index}", to="worker-in") for index in (1, 2, 3)]
    assert [(each.held, each.forwarded) for each in outcomes] == [(True, [])] * 3
    sent = tracker.resume(*JOB).forwarded
    names = [json.loads(each.value)["tracking"]["jobTaskId"] for each in sent]
    assert names == ["acme:job.1", "acme:job.2", "acme:job.3"]
    assert tracker.resume(*JOB).forwarded == []


@pytest.mark.parametrize("end", ["Complete", "Failed"])
def test_what_is_held_is_dropped_when_a_paused_job_ends(tracker: NaiveTracker, end: str) -> None:
    tracker.pause(*JOB)
    send_message(tracker, to="worker-in")
    assert send_event(tracker, report("acme:job", end)).held_dropped == 1
    assert tracker.held(*JOB) == []


def test_an_exception_of_a_paused_job_is_reported(tracker: NaiveTracker) -> None:
    tracker.pause(*JOB)
    outcome = send_message(tracker, to="worker-in", status="RESULT_EXCEPTION")
    assert (tracker.status(*JOB), outcome.forwarded, outcome.held_dropped) == ("Failed", [], 1)


@pytest.mark.parametrize("end", ["cancel", "delete"])
def test_what_is_held_is_dropped_with_the_job(tracker: NaiveTracker, end: str) -> None:
    tracker.pause(*JOB)
    send_message(tracker, to="worker-in")
    assert getattr(tracker, end)(*JOB).held_dropped == 1


@pytest.mark.parametrize(("verb", "before"), [("pause", "pause"), ("cancel", "cancel"), ("resume", None)])
def test_what_is_so_already_is_a_no_op(tracker: NaiveTracker, verb: str, before: str | None) -> None:
    if before:
        getattr(tracker, before)(*JOB)
    status = tracker.status(*JOB)
    assert getattr(tracker, verb)(*JOB) == Outcome()
    assert tracker.status(*JOB) == status


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume"])
@pytest.mark.parametrize("end", ["Complete", "Failed"])
def test_a_finished_job_refuses(tracker: NaiveTracker, verb: str, end: str) -> None:
    send_event(tracker, report("acme:job", end))
    with pytest.raises(Refused):
        getattr(tracker, verb)(*JOB)


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_cancelled_job_is_neither_paused_nor_resumed(tracker: NaiveTracker, verb: str) -> None:
    tracker.cancel(*JOB)
    with pytest.raises(Refused):
        getattr(tracker, verb)(*JOB)


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume", "retry", "delete"])
def test_an_unknown_job_is_not_found(tracker: NaiveTracker, verb: str) -> None:
    with pytest.raises(NotFound):
        getattr(tracker, verb)("acme", "nobody")


def test_a_cancel_takes_the_dependents_along_only_if_asked_to() -> None:
    tracker = four_jobs(propagate_failures=False)
    tracker.cancel("acme", "T3")
    assert statuses(tracker) == ["Waiting", "Waiting", "Cancelled", "Waiting"]
    tracker.cancel("acme", "T1", cascade=True)
    assert statuses(tracker) == ["Cancelled", "Cancelled", "Cancelled", "Waiting"]  # T3 had ended before
    tracker.cancel("acme", "T3", cascade=True)  # though it is cancelled already
    assert statuses(tracker) == ["Cancelled"] * 4


def test_a_cancel_that_cascades_stops_at_what_has_failed() -> None:
    tracker = four_jobs(propagate_failures=False)
    send_event(tracker, report("acme:T3.1", "Failed"))
    tracker.cancel("acme", "T1", cascade=True)
    assert statuses(tracker) == ["Cancelled", "Cancelled", "Failed", "Waiting"]


@given(graphs(), st.sets(st.integers(0, 7)), st.sets(st.integers(0, 7)))
@settings(deadline=None)
def test_a_cancel_that_cascades_takes_each_job_to_which_a_path_leads(
    graph: Graph, paused: set[int], cancelled: set[int]
) -> None:
    """On each step of the path, the next job waits and has not ended."""
    tracker = tracker_with(graph)
    for number in paused & set(graph):
        tracker.pause("acme", str(number))
    ended = cancelled & set(graph)
    for number in ended:
        tracker.cancel("acme", str(number))
    reached = {0}
    for number in sorted(graph):  # each job comes after its prerequisites
        if graph[number] & reached and number not in ended:
            reached.add(number)
    tracker.cancel("acme", "0", cascade=True)
    found = {number for number in graph if tracker.status("acme", str(number)) == "Cancelled"}
    assert found == reached | ended
