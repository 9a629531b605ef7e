"""Each rule of the fine print by itself, with its result worked out by hand."""

import itertools
from typing import Any

import pytest

from tests.fold.memory import BatchDone, JobRows, MemoryTracker
from tests.model.messages import failure, record_of, report, task_message, tracking_report
from tests.model.reading import Record
from tracker.identifiers import JobName
from tracker.job_status import JobStatus

JOB = JobName("acme", "job")
MILLION = 1_000_000  # one percent


@pytest.fixture
def tracker() -> MemoryTracker:
    """A tracker with one job, `acme:job`."""
    tracker = MemoryTracker()
    tracker.create(*JOB)
    return tracker


def named(path: str) -> str:
    return f"acme:job.{path}" if path else "acme:job"


def done(path: str) -> Record:
    """A message that completes a task."""
    return record_of(task_message(named(path)))


def told(path: str, status: str, *more: Any, **fields: Any) -> Record:
    """An event that reports on one task."""
    return record_of(tracking_report(report(named(path), status, *more, **fields)))


def failed(path: str, text: str = "it broke") -> Record:
    return told(path, "Failed", failure=failure(text))


def job(tracker: MemoryTracker) -> JobRows:
    tracker.check()
    return tracker.jobs[JOB]


def each(tracker: MemoryTracker, *records: Record) -> JobRows:
    """Apply records, each in a batch of its own."""
    for record in records:
        tracker.apply([record])
    return job(tracker)


def missing(tracker: MemoryTracker) -> list[tuple[str, int, int]]:
    return sorted(job(tracker).missing(JOB))


def only_fold_of(batch: BatchDone) -> Any:
    [fold] = batch.folds
    return fold


# --- progress and percentages


def test_a_tasks_progress_is_the_highest_that_was_reported(tracker: MemoryTracker) -> None:
    assert each(tracker, told("", "Progress", 40), told("", "Progress", 30)).percentage == 40 * MILLION


def test_progress_is_at_most_99_9(tracker: MemoryTracker) -> None:
    assert each(tracker, told("", "Progress", 100)).percentage == 99_900_000


def test_progress_of_0_writes_nothing(tracker: MemoryTracker) -> None:
    assert each(tracker, told("1*", "Progress", 0)).status is JobStatus.WAITING


def test_a_task_in_progress_writes_nothing(tracker: MemoryTracker) -> None:
    rows = each(tracker, record_of(task_message("acme:job.1*", to="worker-in")))
    assert (rows.status, rows.tasks) == (JobStatus.WAITING, {})


def test_a_task_with_children_has_the_higher_of_its_own_and_theirs(tracker: MemoryTracker) -> None:
    assert each(tracker, told("", "Progress", 40), done("1"), done("2")).percentage == 200 * MILLION // 3
    assert each(tracker, told("", "Progress", 90)).percentage == 90 * MILLION


def test_unknown_number_of_children_counts_as_one_more_than_seen(tracker: MemoryTracker) -> None:
    assert each(tracker, done("3")).percentage == 25 * MILLION


def test_known_number_of_children_divides_what_they_amount_to(tracker: MemoryTracker) -> None:
    assert each(tracker, done("4*"), told("1", "Progress", 50)).percentage == 37_500_000


def test_a_parent_has_at_most_99_7_until_every_child_has_completed(tracker: MemoryTracker) -> None:
    tracker.apply([done(str(index)) for index in range(1, 1_000)])
    tracker.apply([told("1000*", "Progress", 99.9)])
    assert job(tracker).percentage == 99_700_000
    assert each(tracker, done("1000")).percentage == 100_000_000


def test_percentages_are_carried_up_through_the_levels(tracker: MemoryTracker) -> None:
    assert each(tracker, done("2*"), told("1.1*.1*", "Progress", 10)).percentage == 55 * MILLION


# --- failures


def test_a_failed_task_counts_0_whatever_progress_is_reported(tracker: MemoryTracker) -> None:
    rows = each(tracker, told("1*", "Progress", 80), failed("1"), told("1", "Progress", 90))
    assert (rows.status, rows.percentage) == (JobStatus.FAILED, 0)


def test_a_parent_of_a_failed_task_keeps_what_the_others_amount_to(tracker: MemoryTracker) -> None:
    assert each(tracker, done("2*"), failed("1")).percentage == 50 * MILLION


def test_the_details_are_those_of_the_last_failure_listed_once(tracker: MemoryTracker) -> None:
    rows = each(tracker, failed("1", "first"), failed("1", "second"))
    assert [each.failure_message for each in rows.failures.values()] == ["second"]


def test_the_details_are_those_of_the_last_failure_of_a_batch(tracker: MemoryTracker) -> None:
    proxied = record_of(task_message("acme:job.1", status="RESULT_EXCEPTION", task_data=b"first"))
    tracker.apply([proxied, failed("1", "second")])
    assert job(tracker).failures["1"].failure_message == "second"
    tracker.create(*JOB)
    tracker.apply([failed("1", "second"), proxied])
    assert job(tracker).failures["1"].failure_message == "first"


def test_a_failure_of_a_completed_task_is_ignored(tracker: MemoryTracker) -> None:
    rows = each(tracker, done("1"), failed("1"))
    assert (rows.status, rows.failures) == (JobStatus.ACTIVE, {})


def test_a_repaired_task_is_no_longer_listed_but_its_job_stays_failed(tracker: MemoryTracker) -> None:
    rows = each(tracker, failed("1"), told("1", "Complete"))
    assert (rows.status, rows.failures, rows.percentage) == (JobStatus.FAILED, {}, 50 * MILLION)


@pytest.mark.parametrize("in_one_batch", [True, False])
def test_a_job_that_failed_and_was_repaired_stays_failed_in_any_batches(
    tracker: MemoryTracker, in_one_batch: bool
) -> None:
    records = [failed("1"), told("1", "Complete")]
    if in_one_batch:
        tracker.apply(records)
    else:
        each(tracker, *records)
    assert job(tracker).status is JobStatus.FAILED


def test_a_failed_job_completes_as_a_whole(tracker: MemoryTracker) -> None:
    rows = each(tracker, failed("1"), told("2*", "Complete"), told("1", "Complete"))
    assert (rows.status, rows.percentage) == (JobStatus.COMPLETED, 100 * MILLION)


def test_messages_of_a_failed_job_do_not_repair_it(tracker: MemoryTracker) -> None:
    rows = each(tracker, failed("1*"), done("1"))
    assert rows.status is JobStatus.FAILED


def test_messages_of_a_failed_job_do_not_count_beside_its_events(tracker: MemoryTracker) -> None:
    each(tracker, failed("1"))
    tracker.apply([done("2"), done(""), told("3", "Complete")])
    assert missing(tracker) == [("acme:job", 1, 2)]


def test_a_paused_job_stays_paused_until_it_fails(tracker: MemoryTracker) -> None:
    tracker.command("pause", JOB)
    assert each(tracker, done("1")).status is JobStatus.PAUSED
    assert each(tracker, failed("2")).status is JobStatus.FAILED


# --- children and marks


def test_a_mark_counts_after_its_child_has_completed_without_it(tracker: MemoryTracker) -> None:
    assert each(tracker, done("1"), done("2"), done("2*")).status is JobStatus.COMPLETED


def test_a_mark_counts_at_any_level(tracker: MemoryTracker) -> None:
    assert each(tracker, done("1*.2*"), done("1.1")).status is JobStatus.COMPLETED


def test_a_mark_is_learnt_from_progress(tracker: MemoryTracker) -> None:
    assert each(tracker, told("2*", "Progress", 1), done("1"), done("2")).status is JobStatus.COMPLETED


def test_a_mark_is_learnt_from_a_failure(tracker: MemoryTracker) -> None:
    rows = each(tracker, failed("2*"), told("1", "Complete"), told("2", "Complete"))
    assert rows.status is JobStatus.COMPLETED


def test_a_mark_is_not_learnt_from_what_writes_nothing(tracker: MemoryTracker) -> None:
    nothing = record_of(task_message("acme:job.1*", to="worker-in"))
    assert each(tracker, nothing, told("1*", "Retry"), done("1")).status is JobStatus.ACTIVE


def test_a_mark_is_learnt_from_a_report_below_a_completed_task(tracker: MemoryTracker) -> None:
    assert each(tracker, done("1"), done("1*.7")).status is JobStatus.COMPLETED


def test_nothing_is_learnt_below_a_completed_task(tracker: MemoryTracker) -> None:
    rows = each(tracker, done("1"), done("1.7"), failed("1.8.1"))
    assert (rows.status, list(rows.tasks)) == (JobStatus.ACTIVE, [""])


@pytest.mark.parametrize("batch", [True, False], ids=["in one batch", "one by one"])
@pytest.mark.parametrize("order", list(itertools.permutations(["1.1", "1.2*", "2*", "1"])))
def test_a_task_that_completes_outright_and_by_its_children_is_done_once(
    tracker: MemoryTracker, order: tuple[str, ...], batch: bool
) -> None:
    if batch:
        tracker.apply([done(path) for path in order])
    else:
        each(tracker, *(done(path) for path in order))
    assert job(tracker).status is JobStatus.COMPLETED


def test_a_parent_that_completes_outright_takes_all_below_it_along(tracker: MemoryTracker) -> None:
    below = [failed("1.2.3"), told("1.4", "Progress", 50), told("1.5000", "Complete")]
    rows = each(tracker, *below, told("1", "Complete"))
    assert list(rows.tasks) == [""]
    assert list(rows.blocks) == [("", 0)]
    assert rows.failures == {}


def test_tasks_whose_paths_begin_alike_are_not_below_each_other(tracker: MemoryTracker) -> None:
    rows = each(tracker, failed("11.1"), told("1.1", "Progress", 5), told("1", "Complete"))
    assert rows.failures.keys() == {"11.1"}
    assert rows.tasks.keys() == {"", "11", "11.1"}


def test_a_job_that_completes_outright_leaves_no_rows(tracker: MemoryTracker) -> None:
    rows = each(tracker, failed("1"), told("2.2", "Progress", 5), told("", "Complete"))
    assert (rows.status, rows.percentage) == (JobStatus.COMPLETED, 100 * MILLION)
    assert (rows.tasks, rows.blocks, rows.failures) == ({}, {}, {})


def test_children_of_many_blocks_complete_their_parent(tracker: MemoryTracker) -> None:
    indexes = [*range(1, 9_001)]
    for first in range(0, 9_000, 1_500):
        tracker.apply([done(f"{index}{'*' * (index == 9_000)}") for index in indexes[first : first + 1_500]])
    assert job(tracker).status is JobStatus.COMPLETED


def test_missing_children_are_the_gaps_below_the_highest(tracker: MemoryTracker) -> None:
    each(tracker, done("3"), done("4097"), done("2.2"))
    assert missing(tracker) == [("acme:job", 1, 2), ("acme:job", 4, 4096), ("acme:job.2", 1, 1)]


# --- contradictions


def test_a_child_beyond_the_last_makes_it_the_last(tracker: MemoryTracker) -> None:
    tracker.apply([done("2*")])
    assert only_fold_of(tracker.apply([done("3")])).contradictions == 1
    assert job(tracker).status is JobStatus.ACTIVE
    assert each(tracker, done("1")).status is JobStatus.COMPLETED


def test_a_last_child_below_one_that_was_seen_is_counted(tracker: MemoryTracker) -> None:
    tracker.apply([done("3")])
    assert only_fold_of(tracker.apply([done("2*")])).contradictions == 1


def test_a_second_last_child_is_counted(tracker: MemoryTracker) -> None:
    tracker.apply([done("2*")])
    assert only_fold_of(tracker.apply([told("3*", "Complete")])).contradictions == 1


def test_contradictions_within_a_batch_are_counted(tracker: MemoryTracker) -> None:
    assert only_fold_of(tracker.apply([done("2*"), done("3")])).contradictions == 1


def test_sound_marks_are_no_contradiction(tracker: MemoryTracker) -> None:
    for record in [done("3*"), done("2"), told("3*", "Complete"), told("1", "Progress", 5)]:
        assert only_fold_of(tracker.apply([record])).contradictions == 0


# --- what is written


def test_a_report_that_changes_nothing_writes_nothing(tracker: MemoryTracker) -> None:
    each(tracker, done("1"), told("2", "Progress", 50))
    for record in [done("1"), told("2", "Progress", 50), told("1", "Progress", 5), failed("1")]:
        assert not only_fold_of(tracker.apply([record])).touched


def test_a_waiting_job_asks_for_nothing(tracker: MemoryTracker) -> None:
    batch = tracker.apply([done("1.1"), failed("2.2")])
    assert only_fold_of(batch).needs() == (set(), set())


def test_only_the_blocks_of_the_children_in_question_are_asked_for(tracker: MemoryTracker) -> None:
    tracker.apply([done("1")])
    fold = only_fold_of(tracker.apply([done("5000"), told("3.2", "Progress", 1)]))
    assert fold.needs() == ({"", "3", "3.2"}, {("", 1), ("", 0), ("3", 0)})


# --- the record that completed the job


@pytest.mark.parametrize(
    ("before", "batch", "position"),
    [
        ([], [done("")], 0),
        ([], [done("1"), done("2*"), done("2*")], 1),
        ([], [done("1"), done("1*"), done("1")], 1),
        ([done("2*")], [done("2"), done("1"), done("1"), done("2")], 1),
        ([done("1")], [done("1"), told("1*", "Progress", 5), done("1")], 1),
        ([done("1.1")], [done("2*"), done("1.2*"), done("1.1")], 1),
        ([done("2*.1*")], [done("1"), done("2.1")], 0),
        ([], [done("1"), done(""), done("2*")], 1),
        ([], [done("1*"), done("")], 0),
        ([], [done("3"), done(""), done("")], 1),
        ([], [told("1", "Complete"), told("2*", "Complete"), told("1", "Complete")], 1),
        ([failed("1*")], [done("1"), told("1", "Complete"), told("1", "Complete")], 1),
        ([], [failed("1*"), done("1"), done("1"), failed("1")], 1),
        ([failed("1")], [done(""), told("", "Complete"), told("", "Complete")], 1),
    ],
)
def test_the_completing_record_is_the_first_that_left_nothing_to_do(
    tracker: MemoryTracker, before: list[Record], batch: list[Record], position: int
) -> None:
    each(tracker, *before)
    fold = only_fold_of(tracker.apply(batch))
    assert fold.status is JobStatus.COMPLETED
    assert fold.completing_position() == position
