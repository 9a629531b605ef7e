"""The rows that the fold asks for and writes, and the contradictions that it counts."""

from typing import Any

import pytest

from tests.fold.memory import BatchDone, JobRows, MemoryTracker
from tests.fold.records import completed, failed, message, progress
from tests.fold.trackers import JOB, PERCENT
from tests.support.records import Record
from tracker.job_status import JobStatus


@pytest.fixture
def memory() -> MemoryTracker:
    """A tracker with one job, `acme:job`."""
    memory = MemoryTracker()
    memory.create(*JOB)
    return memory


def rows_after(memory: MemoryTracker, *records: Record) -> JobRows:
    """Apply records, each in a batch of its own, and return the job's rows."""
    for record in records:
        memory.apply([record])
    memory.check()
    return memory.jobs[JOB]


def only_fold_of(batch: BatchDone) -> Any:
    [fold] = batch.folds
    return fold


# --- contradictions


def test_a_child_beyond_the_last_is_counted(memory: MemoryTracker) -> None:
    memory.apply([message("2*")])
    assert only_fold_of(memory.apply([message("3")])).contradictions == 1
    assert rows_after(memory).status is JobStatus.ACTIVE
    assert rows_after(memory, message("1")).status is JobStatus.COMPLETED


def test_a_last_child_below_one_that_was_seen_is_counted(memory: MemoryTracker) -> None:
    memory.apply([message("3")])
    assert only_fold_of(memory.apply([message("2*")])).contradictions == 1


def test_a_second_last_child_is_counted(memory: MemoryTracker) -> None:
    memory.apply([message("2*")])
    assert only_fold_of(memory.apply([completed("3*")])).contradictions == 1


def test_contradictions_within_a_batch_are_counted(memory: MemoryTracker) -> None:
    assert only_fold_of(memory.apply([message("2*"), message("3")])).contradictions == 1


def test_sound_marks_are_no_contradiction(memory: MemoryTracker) -> None:
    for record in [message("3*"), message("2"), completed("3*"), progress("1", 5)]:
        assert only_fold_of(memory.apply([record])).contradictions == 0


# --- what is written


def test_a_report_that_changes_nothing_writes_nothing(memory: MemoryTracker) -> None:
    rows_after(memory, message("1"), progress("2", 50))
    for record in [message("1"), progress("2", 50), progress("1", 5), failed("1")]:
        assert memory.apply([record]).changes == []


def test_a_task_in_progress_writes_no_row(memory: MemoryTracker) -> None:
    rows = rows_after(memory, message("1*", to="worker-in"))
    assert (rows.status, rows.tasks) == (JobStatus.WAITING, {})


def test_nothing_is_written_below_a_completed_task(memory: MemoryTracker) -> None:
    rows = rows_after(memory, message("1"), message("1.7"), failed("1.8.1"))
    assert (rows.status, list(rows.tasks)) == (JobStatus.ACTIVE, [""])


@pytest.mark.parametrize("in_one_batch", [False, True])
def test_a_task_that_completes_outright_leaves_no_rows_below_it(
    memory: MemoryTracker, in_one_batch: bool
) -> None:
    records = [failed("1.2.3"), progress("1.4", 50), completed("1.5000"), completed("1")]
    if in_one_batch:
        memory.apply(records)
    rows = rows_after(memory, *([] if in_one_batch else records))
    assert list(rows.tasks) == [""]
    assert list(rows.blocks) == [("", 0)]
    assert rows.failures == {}


def test_tasks_whose_paths_begin_alike_keep_their_rows(memory: MemoryTracker) -> None:
    rows = rows_after(memory, failed("11.1"), progress("1.1", 5), completed("1"))
    assert rows.failures.keys() == {"11.1"}
    assert rows.tasks.keys() == {"", "11", "11.1"}


def test_a_job_that_completes_outright_leaves_no_rows(memory: MemoryTracker) -> None:
    rows = rows_after(memory, failed("1"), progress("2.2", 5), completed(""))
    assert (rows.status, rows.percentage) == (JobStatus.COMPLETED, 100 * PERCENT)
    assert (rows.tasks, rows.blocks, rows.failures) == ({}, {}, {})


# --- what is asked for


def test_a_waiting_job_asks_for_nothing(memory: MemoryTracker) -> None:
    batch = memory.apply([message("1.1"), failed("2.2")])
    assert only_fold_of(batch).needs() is None


def test_only_the_blocks_of_the_reported_children_are_asked_for(memory: MemoryTracker) -> None:
    memory.apply([message("1")])
    fold = only_fold_of(memory.apply([message("5000"), progress("3.2", 1)]))
    assert fold.needs() == (fold.job, {"", "3", "3.2"}, {("", 2)})
