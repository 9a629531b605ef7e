"""The model on generated input: order, repetition and batches do not matter, and jobs end as planned."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.examples import JOB, progress, state
from tests.support.messages import key_of
from tests.support.model.histories import History, histories, permutations
from tests.support.model.naive import NaiveTracker
from tests.support.model.scripts import record_for
from tests.support.model.traffic import Advance, Arrive, Drain, Traffic, apply
from tests.support.records import Record


def after(batches: list[list[Record]]) -> tuple[Any, ...]:
    tracker = NaiveTracker()
    tracker.create_job(*JOB)
    for batch in batches:
        tracker.process_batch(batch)
    return state(tracker)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_order_repetition_and_batching_do_not_matter(data: st.DataObject) -> None:
    history = data.draw(histories(["completes", "fails", "unfinished"]))
    steps = [*history.script.body, *history.script.tail]
    random = data.draw(st.randoms(use_true_random=False))
    in_order = after([[record_for(random, step)] for step in steps])
    assert after(data.draw(permutations(history.script))) == in_order


@given(histories(["completes", "repaired"]), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_a_script_ends_as_planned(history: History, random: Any) -> None:
    tracker = NaiveTracker()
    tracker.create_job(*JOB)
    for step in history.script.body:
        tracker.process(record_for(random, step))
        assert tracker.status(*JOB) in {"Waiting", "Active"}
    for step in history.script.tail:
        tracker.process(record_for(random, step))
    completes = history.script.plan in {"completes", "repaired"}
    assert (tracker.status(*JOB) == "Completed") == completes


@given(histories(["completes", "unfinished"], events_only=True), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_a_percentage_never_falls_once_the_number_of_children_is_known(history: History, random: Any) -> None:
    tracker = NaiveTracker()
    tracker.create_job(*JOB)
    for path in history.tree.paths():
        index = history.tree.at(path).last if history.tree.at(path).children else None
        if index:
            name = ".".join(["acme:job", *map(str, path), f"{index}*"])
            progress(tracker, name, 1e-6)
    before = 0
    for step in [*history.script.body, *history.script.tail]:
        tracker.process(record_for(random, step))
        now = tracker.percentage_millionths(*JOB)
        assert now >= before
        before = now


@pytest.mark.parametrize("seed", range(5))
def test_tidy_traffic_ends_as_planned_in_any_batches(seed: int) -> None:
    traffic = Traffic(seed, tasks=20)
    actions = list(traffic.actions(1_500))
    as_cut, one_by_one = NaiveTracker(), NaiveTracker()
    forwarded: list[Any] = [[], []]
    for action in actions:
        forwarded[0] += [each for outcome in apply(as_cut, action) for each in outcome.forwarded]
        smaller = [Arrive([each]) for each in action.records] if isinstance(action, Arrive) else [action]
        for part in smaller:
            forwarded[1] += [each for outcome in apply(one_by_one, part) for each in outcome.forwarded]
    assert forwarded[0] == forwarded[1]
    assert as_cut.releases == one_by_one.releases
    ends = {"completes": "Completed", "repaired": "Completed", "fails": "Failed"}
    arrived = {record.key for action in actions if isinstance(action, Arrive) for record in action.records}
    for key, job in traffic.plans.items():
        assert state(as_cut, *key) == state(one_by_one, *key)
        if key_of(job.name) in arrived and job.plan in ends:
            assert as_cut.status(*key) == ends[job.plan], job
        assert as_cut.jobs[key].sent == job.runs


@pytest.mark.parametrize("seed", range(3))
def test_wild_traffic_is_the_same_for_the_same_seed_and_reaches_every_outcome(seed: int) -> None:
    actions, again = (list(Traffic(seed, wild=True, tasks=20).actions(3_000)) for _ in range(2))
    assert actions == again
    tracker = NaiveTracker()
    outcomes = [outcome for action in actions for outcome in apply(tracker, action)]
    dropped = {outcome.dropped for outcome in outcomes}
    assert dropped >= {"unknown", "failed", "cancelled"}
    assert any(outcome.held for outcome in outcomes)
    assert any(outcome.released for outcome in outcomes)
    assert any(job.attempt > 1 for job in tracker.jobs.values())
    assert any(isinstance(action, Drain | Advance) for action in actions)
    assert {job.status for job in tracker.jobs.values()} >= {"Waiting", "Active", "Failed", "Completed"}
