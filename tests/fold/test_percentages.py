"""Rules for progress and percentages. Each result is worked out by hand."""

import pytest

from tests.fold.records import completed, failed, message, progress
from tests.fold.trackers import PERCENT, Tracker

# --- the progress of one task


@pytest.mark.parametrize(
    ("percentage", "kept"), [(100, 99_900_000), (99.95, 99_900_000), (1e-9, 1), (33.3333334, 33_333_333)]
)
def test_progress_is_kept_in_millionths_up_to_99_9(tracker: Tracker, percentage: float, kept: int) -> None:
    tracker.apply(progress("", percentage))
    assert tracker.percentage == kept


def test_progress_of_0_writes_nothing(tracker: Tracker) -> None:
    tracker.apply(progress("5*", 0))
    assert (tracker.status, tracker.missing) == ("Waiting", [])


def test_progress_is_the_highest_that_was_reported(tracker: Tracker) -> None:
    tracker.each(progress("", 40), progress("", 30))
    assert tracker.percentage == 40 * PERCENT


def test_progress_never_lowers_a_completed_task(tracker: Tracker) -> None:
    tracker.each(completed("1"), progress("1", 10))
    assert tracker.percentage == 50 * PERCENT


# --- parents


def test_the_number_of_children_is_one_more_than_seen_until_it_is_known(tracker: Tracker) -> None:
    tracker.apply(completed("3"))
    assert tracker.percentage == 25 * PERCENT
    tracker.apply(progress("5*", 10))
    assert tracker.percentage == 22 * PERCENT


def test_a_known_number_of_children_divides_their_sum(tracker: Tracker) -> None:
    tracker.each(message("4*"), progress("1", 50))
    assert tracker.percentage == 37_500_000


def test_a_parent_has_at_most_99_7_until_every_child_has_completed(tracker: Tracker) -> None:
    tracker.apply(*(message(str(index)) for index in range(1, 1_000)))
    assert tracker.percentage == 99_700_000
    tracker.apply(progress("1000*", 99.9))
    assert tracker.percentage == 99_700_000
    tracker.apply(message("1000"))
    assert tracker.percentage == 100 * PERCENT


def test_one_event_may_complete_a_thousand_children(tracker: Tracker) -> None:
    tracker.apply(completed(*map(str, range(1, 1_000))))
    assert tracker.percentage == 99_700_000
    tracker.apply(progress("1000*", 99.9))
    assert tracker.percentage == 99_700_000


def test_a_parent_is_rounded_down_to_millionths(tracker: Tracker) -> None:
    tracker.apply(completed("1", "2*.3*"))  # of three children of task 2, one is complete
    assert tracker.percentage == (100_000_000 + 33_333_333) // 2


def test_a_parent_has_the_higher_of_its_own_and_its_childrens(tracker: Tracker) -> None:
    tracker.each(progress("", 30), completed("4*"))
    assert tracker.percentage == 30 * PERCENT
    tracker.apply(completed("1"))
    assert tracker.percentage == 50 * PERCENT


def test_a_parents_own_progress_may_exceed_its_childrens_later(tracker: Tracker) -> None:
    tracker.each(progress("", 40), message("1"), message("2"))
    assert tracker.percentage == 200 * PERCENT // 3
    tracker.apply(progress("", 90))
    assert tracker.percentage == 90 * PERCENT


def test_percentages_are_carried_up_through_the_levels(tracker: Tracker) -> None:
    tracker.each(message("2*"), progress("1.1*.1*", 10))
    assert tracker.percentage == 55 * PERCENT


# --- failed tasks


def test_a_failed_task_counts_0_whatever_progress_is_reported(tracker: Tracker) -> None:
    tracker.each(progress("1*", 80), failed("1"), progress("1", 90))
    assert (tracker.status, tracker.percentage) == ("Failed", 0)


def test_a_failed_task_counts_0_until_it_completes(tracker: Tracker) -> None:
    tracker.each(progress("2*", 80), failed("2"), completed("1"), progress("2", 90))
    assert (tracker.percentage, tracker.status) == (50 * PERCENT, "Failed")
    tracker.apply(completed("2"))
    assert (tracker.percentage, tracker.status) == (100 * PERCENT, "Completed")


def test_a_parent_of_a_failed_task_keeps_the_percentage_of_the_others(tracker: Tracker) -> None:
    tracker.each(message("2*"), failed("1"))
    assert tracker.percentage == 50 * PERCENT


def test_a_grandparent_of_a_failed_task_keeps_the_percentage_of_the_others(tracker: Tracker) -> None:
    tracker.each(completed("1*.1"), failed("1.2*"))
    assert tracker.percentage == 50 * PERCENT
