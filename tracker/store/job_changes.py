"""The statements that write what a batch has changed of its jobs, with their parameters."""

from collections.abc import Iterator, Sequence
from typing import Any

from tracker.fold.state import JobChanges
from tracker.job_status import JobStatus
from tracker.store.arrays import columns

_JOB = ("tenant_keys", "job_keys")
_TASK = (*_JOB, "paths")
_STORED_BLOCK = (*_TASK, "blocks", "completed", "tracked")
_STORED_TASK = (
    *_TASK, "reported", "failed", "last_child", "highest_child", "completed_children", "failed_children",
    "children_percentage",
)  # fmt: skip
_FAILURE = (*_TASK, "failure_ids", "failure_times_ms", "failure_sources", "failure_messages")


def statements_of(changes: Sequence[JobChanges]) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the name and the parameters of each statement that has rows, in the order of execution."""
    unfinished = [job for job in changes if job.status is not JobStatus.COMPLETED]
    completed = [job for job in changes if job.status is JobStatus.COMPLETED]
    steps: tuple[tuple[str, Sequence[str], list[tuple[Any, ...]]], ...] = (
        ("store_blocks", _STORED_BLOCK, _block_rows(unfinished)),
        ("store_tasks", _STORED_TASK, _task_rows(unfinished)),
        ("remove_tasks", _TASK, [(*job[:2], path) for job in unfinished for path in job.removed_tasks]),
        (
            "remove_subtrees",
            _TASK,
            [(*job[:2], path) for job in unfinished for path in job.removed_subtrees],
        ),
        (
            "remove_failures",
            _TASK,
            [(*job[:2], path) for job in unfinished for path in job.removed_failures],
        ),
        (
            "update_jobs",
            (*_JOB, "statuses", "percentages"),
            [(*job[:2], job.status.number, job.percentage) for job in changes],
        ),
        # A job that was Waiting has no rows of tasks.
        (
            "remove_task_state",
            _JOB,
            [job[:2] for job in completed if job.old_status is not JobStatus.WAITING],
        ),
        (
            "store_failures",
            _FAILURE,
            [(*job[:2], path, *failure) for job in unfinished for path, failure in job.failures.items()],
        ),
        ("summarize_failures", _JOB, [job[:2] for job in unfinished if _changes_failures(job)]),
        (
            "drop_held_messages",
            _JOB,
            [
                job[:2]
                for job in changes
                if job.old_status is JobStatus.PAUSED and job.status > JobStatus.PAUSED
            ],
        ),
    )
    for name, parameters, rows in steps:
        if rows:
            yield name, columns(rows, *parameters)


def _block_rows(changes: Sequence[JobChanges]) -> list[tuple[Any, ...]]:
    return [
        (*job[:2], path, number, _to_bytes(block.completed), _to_bytes(block.tracked))
        for job in changes
        for (path, number), block in job.blocks
    ]


def _task_rows(changes: Sequence[JobChanges]) -> list[tuple[Any, ...]]:
    return [
        (
            *job[:2], path, task.reported, task.failed, task.last_child, task.highest_child,
            task.completed_children, task.failed_children, task.children_percentage,
        )
        for job in changes
        for path, task in job.tasks
    ]  # fmt: skip


def _changes_failures(job: JobChanges) -> bool:
    removed_with_parents = job.removed_subtrees and job.status is JobStatus.FAILED
    return bool(job.failures or job.removed_failures or removed_with_parents)


def _to_bytes(bits: int) -> bytes:
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")
