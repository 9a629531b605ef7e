"""Rules for failed tasks and failed jobs. Each result is worked out by hand."""

import pytest

from tests.fold.records import completed, failed, message
from tests.fold.trackers import PERCENT, Tracker

# --- the details of a failure


def texts(tracker: Tracker) -> list[str]:
    return [text for _, _, text in tracker.failures.values()]


def test_a_failure_is_listed_once_with_the_last_details(tracker: Tracker) -> None:
    tracker.each(failed("1", "first"), failed("1", "second"))
    assert texts(tracker) == ["second"]


@pytest.mark.parametrize("event_first", [False, True])
def test_the_details_are_those_of_the_last_failure_of_a_batch(tracker: Tracker, event_first: bool) -> None:
    by_message = message("1", status="RESULT_EXCEPTION", task_data=b"by message")
    by_event = failed("1", "by event")
    tracker.apply(*([by_event, by_message] if event_first else [by_message, by_event]))
    assert texts(tracker) == ["by message" if event_first else "by event"]


# --- completed tasks


def test_a_failure_of_a_completed_task_is_ignored(tracker: Tracker) -> None:
    tracker.each(completed("1"), failed("1"))
    assert (tracker.status, tracker.failures) == ("Active", {})


def test_a_failure_of_a_task_that_a_message_completed_is_ignored(tracker: Tracker) -> None:
    tracker.each(message("1"), failed("1"))
    assert (tracker.status, tracker.failures) == ("Active", {})


def test_failures_below_a_task_that_completes_outright_are_no_longer_listed(tracker: Tracker) -> None:
    tracker.each(failed("1.1"), failed("2.1"), completed("1"))
    assert list(tracker.failures) == ["acme:job.2.1"]


def test_tasks_whose_paths_begin_alike_are_not_below_each_other(tracker: Tracker) -> None:
    tracker.each(failed("11.1"), completed("1"))
    assert list(tracker.failures) == ["acme:job.11.1"]


# --- repair


@pytest.mark.parametrize("in_one_batch", [True, False])
def test_a_repaired_task_is_no_longer_listed_but_its_job_stays_failed(
    tracker: Tracker, in_one_batch: bool
) -> None:
    records = [failed("1"), completed("1")]
    if in_one_batch:
        tracker.apply(*records)
    else:
        tracker.each(*records)
    assert (tracker.status, tracker.failures, tracker.percentage) == ("Failed", {}, 50 * PERCENT)


def test_a_failed_job_stays_failed_until_it_completes_as_a_whole(tracker: Tracker) -> None:
    tracker.each(failed("1"), completed("1"))
    assert tracker.status == "Failed"
    tracker.apply(completed("2*"))
    assert (tracker.status, tracker.percentage) == ("Completed", 100 * PERCENT)


def test_a_failed_job_completes_with_its_failed_task_last(tracker: Tracker) -> None:
    tracker.each(failed("1"), completed("2*"), completed("1"))
    assert (tracker.status, tracker.percentage) == ("Completed", 100 * PERCENT)


def test_a_job_that_itself_failed_completes_with_its_tasks(tracker: Tracker) -> None:
    tracker.each(completed("1"), failed(""))
    assert (tracker.percentage, list(tracker.failures)) == (0, ["acme:job"])
    tracker.apply(completed("2*"))
    assert tracker.state() == ("Completed", 100 * PERCENT, {}, [])


def test_messages_of_a_failed_job_do_not_repair_it(tracker: Tracker) -> None:
    tracker.each(failed("1*"), message("1"))
    assert tracker.status == "Failed"


def test_messages_of_a_failed_job_do_not_count_beside_its_events(tracker: Tracker) -> None:
    tracker.apply(failed("1"))
    tracker.apply(message("2"), message(""), completed("3"))
    assert tracker.missing == [("acme:job", 1, 2)]
