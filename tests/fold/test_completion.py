"""Rules for children, last-child marks and completion. Each result is worked out by hand."""

import itertools
from typing import Any

import pytest

from tests.fold.records import completed, failed, message, progress, reported
from tests.fold.trackers import PERCENT, State, Tracker
from tests.support.records import Record

DONE = State("Completed", 100 * PERCENT, failures={}, missing=[])

# --- completion


def test_a_job_completes_with_the_last_of_its_known_children(tracker: Tracker) -> None:
    tracker.apply(completed("3*", "1"))
    assert (tracker.status, tracker.missing) == ("Active", [("acme:job", 2, 2)])
    tracker.apply(completed("2"))
    assert tracker.state() == DONE


def test_a_job_that_completes_outright_misses_nothing(tracker: Tracker) -> None:
    tracker.apply(completed("3*", ""))
    assert tracker.state() == DONE


def test_a_failed_job_that_completes_outright_lists_nothing(tracker: Tracker) -> None:
    tracker.each(failed("1"), progress("2.2", 5), completed(""))
    assert tracker.state() == DONE


def test_a_job_does_not_complete_while_the_number_of_children_is_unknown(tracker: Tracker) -> None:
    tracker.apply(completed("1", "2"))
    assert tracker.status == "Active"


def test_children_of_many_blocks_complete_their_parent(tracker: Tracker) -> None:
    indexes = [*range(1, 9_001)]
    for first in range(0, 9_000, 1_500):
        batch = indexes[first : first + 1_500]
        tracker.apply(*(message(f"{index}{'*' * (index == 9_000)}") for index in batch))
    assert tracker.status == "Completed"


# --- tasks that complete outright


def test_a_task_that_completes_outright_needs_none_of_its_children(tracker: Tracker) -> None:
    tracker.each(progress("1.1", 10), completed("1"))
    assert (tracker.percentage, tracker.missing) == (50 * PERCENT, [])
    tracker.apply(failed("1.1"))
    assert (tracker.status, tracker.failures) == ("Active", {})


def test_a_parent_that_completes_outright_takes_all_below_it_along(tracker: Tracker) -> None:
    tracker.each(failed("1.2.3"), progress("1.4", 50), completed("1.5000"), completed("1"))
    assert tracker.state() == ("Failed", 50 * PERCENT, {}, [])


@pytest.mark.parametrize("batch", [True, False], ids=["in one batch", "one by one"])
@pytest.mark.parametrize("order", list(itertools.permutations(["1.1", "1.2*", "2*", "1"])))
def test_a_task_that_completes_outright_and_by_its_children_counts_once(
    tracker: Tracker, order: tuple[str, ...], batch: bool
) -> None:
    records = [message(path) for path in order]
    if batch:
        tracker.apply(*records)
    else:
        tracker.each(*records)
    assert tracker.status == "Completed"


# --- marks


@pytest.mark.parametrize(
    "records",
    [
        pytest.param([completed("1*.1*.1*")], id="by an event"),
        pytest.param([message("1*.2*"), message("1.1")], id="by messages"),
    ],
)
def test_a_mark_counts_at_any_level(tracker: Tracker, records: list[Record]) -> None:
    tracker.each(*records)
    assert tracker.status == "Completed"


@pytest.mark.parametrize(
    ("unmarked", "marked"),
    [
        pytest.param([completed("1", "2")], completed("2*"), id="by events"),
        pytest.param([message("1"), message("2")], message("2*"), id="by messages"),
    ],
)
def test_a_mark_counts_after_its_child_has_completed_without_it(
    tracker: Tracker, unmarked: list[Record], marked: Record
) -> None:
    tracker.each(*unmarked)
    assert tracker.status == "Active"
    tracker.apply(marked)
    assert tracker.status == "Completed"


def test_a_mark_is_learnt_from_progress(tracker: Tracker) -> None:
    tracker.each(progress("2*", 1), message("1"), message("2"))
    assert tracker.status == "Completed"


def test_a_mark_is_learnt_from_a_failure(tracker: Tracker) -> None:
    tracker.each(failed("2*"), completed("1"), completed("2"))
    assert tracker.status == "Completed"


def test_a_mark_is_not_learnt_from_what_writes_nothing(tracker: Tracker) -> None:
    tracker.each(message("1*", to="worker-in"), reported("1*", "Retry"), message("1"))
    assert tracker.status == "Active"


def test_a_mark_is_not_learnt_from_a_later_message_that_writes_nothing(tracker: Tracker) -> None:
    tracker.each(completed("1"), message("1*", to="worker-in"))
    assert tracker.status == "Active"


# --- reports below a completed task


def test_a_mark_is_learnt_from_a_report_below_a_completed_task(tracker: Tracker) -> None:
    tracker.each(message("1"), message("1*.7"))
    assert tracker.status == "Completed"


def test_a_mark_is_learnt_from_reports_that_are_otherwise_ignored(tracker: Tracker) -> None:
    tracker.apply(completed("1", "2.1", "2"))
    tracker.apply(failed("2*.7*"))
    assert tracker.status == "Completed"


def test_nothing_else_is_learnt_below_a_completed_task(tracker: Tracker) -> None:
    tracker.each(completed("1", "1.7"), message("1.7"), failed("1.8.1"))
    assert tracker.state() == ("Active", 50 * PERCENT, {}, [])


# --- missing children


def test_missing_children_are_listed_by_parent(tracker: Tracker) -> None:
    tracker.apply(completed("2", "7.12*.3", "7.1", "9*"))
    assert tracker.missing == [
        ("acme:job", 1, 1),
        ("acme:job", 3, 8),
        ("acme:job.7", 2, 12),
        ("acme:job.7.12", 1, 2),
    ]


def test_missing_children_are_the_gaps_below_the_highest(tracker: Tracker) -> None:
    tracker.each(message("3"), message("4097"), message("2.2"))
    assert tracker.missing == [("acme:job", 1, 2), ("acme:job", 4, 4096), ("acme:job.2", 1, 1)]


# --- contradictions


@pytest.mark.parametrize("tasks", [("2*", "3"), ("3*", "2*")])
@pytest.mark.parametrize("record", [completed, message])
def test_contradictory_marks_make_the_highest_index_the_number_of_children(
    tracker: Tracker, tasks: tuple[str, str], record: Any
) -> None:
    tracker.each(*(record(task) for task in tasks))
    assert (tracker.percentage, tracker.status) == (66_666_666, "Active")
    tracker.apply(record("1"))
    assert tracker.status == "Completed"


@pytest.mark.parametrize("tasks", [("2*", "3"), ("3*", "2*")])
def test_marks_that_contradict_each_other_in_one_event(tracker: Tracker, tasks: tuple[str, str]) -> None:
    tracker.apply(completed(*tasks))
    assert (tracker.percentage, tracker.status) == (66_666_666, "Active")
    tracker.apply(completed("1"))
    assert tracker.status == "Completed"


# --- the record that completed the job


@pytest.mark.parametrize(
    ("before", "batch", "position"),
    [
        ([], [message("")], 0),
        ([], [message("1"), message("2*"), message("2*")], 1),
        ([], [message("1"), message("1*"), message("1")], 1),
        ([message("2*")], [message("2"), message("1"), message("1"), message("2")], 1),
        ([message("1")], [message("1"), progress("1*", 5), message("1")], 1),
        ([message("1.1")], [message("2*"), message("1.2*"), message("1.1")], 1),
        ([message("2*.1*")], [message("1"), message("2.1")], 0),
        ([], [message("1"), message(""), message("2*")], 1),
        ([], [message("1*"), message("")], 0),
        ([], [message("3"), message(""), message("")], 1),
        ([], [completed("1"), completed("2*"), completed("1")], 1),
        ([failed("1*")], [message("1"), completed("1"), completed("1")], 1),
        ([], [failed("1*"), message("1"), message("1"), failed("1")], 1),
        ([failed("1")], [message(""), completed(""), completed("")], 1),
    ],
)
def test_the_completing_record_is_the_first_that_left_nothing_to_do(
    tracker: Tracker, before: list[Record], batch: list[Record], position: int
) -> None:
    tracker.each(*before)
    assert tracker.apply(*batch).completed_by == position
    assert tracker.status == "Completed"
