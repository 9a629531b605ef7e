"""The statements that write what a batch has changed of its jobs, with their parameters."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tracker.fold.state import JobChanges
from tracker.job_status import JobStatus
from tracker.store.arrays import columns
from tracker.store.sibling_tasks import bits_to_bytes, changed_rows

_JOB = ("tenant_keys", "job_keys")
_TASK = (*_JOB, "paths")
_SIBLINGS = (*_TASK, "numbers")
_STORED_BLOCK = (*_TASK, "blocks", "completed", "tracked")
_FAILURE = (*_TASK, "failure_ids", "failure_times_ms", "failure_sources", "failure_messages")


def statements_of(
    changes: Sequence[JobChanges], end_records: Mapping[int, str]
) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the name and the parameters of each statement that has rows, in the order of execution.

    `end_records`: by the keys of jobs, the names of the records that have completed them.
    """
    unfinished = [change for change in changes if change.status is not JobStatus.COMPLETED]
    stored, removed = changed_rows(unfinished)
    steps: tuple[tuple[str, Sequence[str], Sequence[tuple[Any, ...]]], ...] = (
        ("store_sibling_tasks", (*_SIBLINGS, "tasks", "unknown"), stored),
        ("remove_sibling_tasks", _SIBLINGS, removed),
        ("store_blocks", _STORED_BLOCK, _block_rows(unfinished)),
        (
            "remove_subtrees",
            _TASK,
            [(*_key(change), path) for change in unfinished for path in change.removed_subtrees],
        ),
        (
            "remove_failures",
            _TASK,
            [(*_key(change), path) for change in unfinished for path in change.removed_failures],
        ),
        (
            "update_jobs",
            (*_JOB, "statuses", "percentages", "end_records"),
            [
                (*_key(change), change.status.number, change.percentage, end_records.get(change.job.job_key))
                for change in changes
            ],
        ),
        ("mark_contradictions", _JOB, [_key(change) for change in unfinished if change.contradicts]),
        # A job that was Waiting has no rows of tasks.
        (
            "remove_task_state",
            _JOB,
            [
                _key(change)
                for change in changes
                if change.status is JobStatus.COMPLETED and change.job.status is not JobStatus.WAITING
            ],
        ),
        (
            "store_failures",
            _FAILURE,
            [
                (*_key(change), path, *failure)
                for change in unfinished
                for path, failure in change.failures.items()
            ],
        ),
        ("summarize_failures", _JOB, [_key(change) for change in unfinished if _changes_failures(change)]),
        (
            "drop_held_messages",
            _JOB,
            [
                _key(change)
                for change in changes
                if change.job.status is JobStatus.PAUSED and change.status > JobStatus.PAUSED
            ],
        ),
    )
    for name, parameters, rows in steps:
        if rows:
            yield name, columns(rows, *parameters)


def _key(change: JobChanges) -> tuple[int, int]:
    return change.job.tenant_key, change.job.job_key


def _block_rows(changes: Sequence[JobChanges]) -> list[tuple[Any, ...]]:
    return [
        (*_key(change), path, number, bits_to_bytes(block.completed), bits_to_bytes(block.tracked))
        for change in changes
        for (path, number), block in change.blocks
    ]


def _changes_failures(change: JobChanges) -> bool:
    removed_with_parents = change.removed_subtrees and change.status is JobStatus.FAILED
    return bool(change.failures or change.removed_failures or removed_with_parents)
