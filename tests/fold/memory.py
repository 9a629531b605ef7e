"""The worker's path without PostgreSQL and Kafka: decode, decide, load, fold, store, on rows in dicts.

Between batches, it keeps only what the SQL would keep, and a fold gets only what it has asked for. So a test
fails if the fold needs something without asking for it, or changes something without writing it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.support.decoding import RULES, decode
from tests.support.records import Record
from tracker.fold.decide import Decisions, decide
from tracker.fold.job_fold import JobFold, folds_of
from tracker.fold.state import (
    BLOCK_CHILDREN,
    Block,
    JobChanges,
    JobNeeds,
    JobState,
    TaskState,
    children_in,
)
from tracker.identifiers import JobName, child_path, parent_of
from tracker.job_status import JobStatus
from tracker.messages.decode import DecodedBatch, Rules
from tracker.messages.event import Failure


class TaskRow(NamedTuple):
    """A row of `task`, in the order of TaskState's parameters."""

    reported: int
    failed: bool
    last_child: int
    highest_child: int
    completed_children: int
    failed_children: int
    children_percentage: int


@dataclass
class JobRows:
    """All rows of one job."""

    job_key: int
    status: JobStatus = JobStatus.WAITING
    percentage: int = 0
    tasks: dict[str, TaskRow] = field(default_factory=dict)
    blocks: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)

    def missing(self, job: JobName) -> Iterator[tuple[str, int, int]]:
        """List (parent, first, last) of the known children that have not completed."""
        for path, task in self.tasks.items():
            completed = {
                child
                for (parent, number), (bits, _) in self.blocks.items()
                if parent == path
                for child in children_in(number, bits)
            }
            first = 1
            for child in [*sorted(completed), task.highest_child + 1]:
                if first < child:
                    yield ".".join(filter(None, [str(job), path])), first, child - 1
                first = child + 1


class BatchDone(NamedTuple):
    """What came of a batch."""

    decoded: DecodedBatch
    decisions: Decisions
    folds: list[JobFold]
    changes: list[JobChanges]


class MemoryTracker:
    """Applies batches as tracker/pipeline/apply.py does, stores as tracker/store/batch_store.py does."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.jobs: dict[JobName, JobRows] = {}
        self._rules = rules
        self._last_job_key = 0

    def create(self, partition_id: str, job_id: str) -> None:
        self._last_job_key += 1
        self.jobs[JobName(partition_id, job_id)] = JobRows(self._last_job_key)

    def command(self, verb: str, name: JobName) -> None:
        """Do what the client does to a job's row; what it refuses does nothing."""
        rows = self.jobs.get(name)
        if rows is None or (verb != "delete" and rows.status >= JobStatus.FAILED):
            return
        if verb == "delete":
            del self.jobs[name]
        elif verb != "resume":
            rows.status = {"pause": JobStatus.PAUSED, "cancel": JobStatus.CANCELLED}[verb]
        elif rows.status is JobStatus.PAUSED:
            rows.status = JobStatus.ACTIVE

    def apply(self, records: Sequence[Record]) -> BatchDone:
        batch = decode(records, self._rules)
        states = self.look_up(batch)
        decisions = decide(batch, states)
        folds = folds_of(batch.jobs, states)
        self._load([needs for fold in folds if (needs := fold.needs())])
        self._load([needs for fold in folds if (needs := fold.needs_more())])
        changes = [changes for fold in folds if (changes := fold.fold())]
        self._store(changes)
        return BatchDone(batch, decisions, folds, changes)

    def look_up(self, batch: DecodedBatch) -> dict[JobName, JobState]:
        return {
            name: JobState(name, 1, rows.job_key, rows.status, rows.percentage)
            for name, rows in self.jobs.items()
            if name in batch.jobs
        }

    def _load(self, needs: Sequence[JobNeeds]) -> None:
        for job, paths, blocks in needs:
            rows = self.jobs[job.name]
            for path in set(paths) & rows.tasks.keys():
                job.tasks[path] = TaskState(*rows.tasks[path], stored=True)
            for key in set(blocks) & rows.blocks.keys():
                completed, tracked = rows.blocks[key]
                job.blocks[key] = Block(completed, tracked, stored=True)

    def _store(self, changes: Sequence[JobChanges]) -> None:
        rows_by_key = {rows.job_key: rows for rows in self.jobs.values()}
        for job in changes:
            _store_job(rows_by_key[job.job_key], job)

    def check(self) -> None:
        """Check that the rows of every job agree with each other."""
        for name, rows in self.jobs.items():
            if rows.status in (JobStatus.WAITING, JobStatus.COMPLETED):
                left = [*rows.tasks, *rows.blocks, *rows.failures]
                assert left == [], f"{name}: rows that nobody needs"
                continue
            check_rows(rows)


def _store_job(rows: JobRows, job: JobChanges) -> None:
    rows.status, rows.percentage = job.status, job.percentage
    if job.status is JobStatus.COMPLETED:
        if job.old_status is not JobStatus.WAITING:
            rows.tasks.clear()
            rows.blocks.clear()
            rows.failures.clear()
        return
    for key, block in job.blocks:
        rows.blocks[key] = block.completed, block.tracked
    for path, task in job.tasks:
        rows.tasks[path] = TaskRow(
            task.reported,
            task.failed,
            task.last_child,
            task.highest_child,
            task.completed_children,
            task.failed_children,
            task.children_percentage,
        )
    for path in job.removed_tasks:
        rows.tasks.pop(path, None)
    for path in job.removed_subtrees:
        _remove_subtree(rows, path)
    for path in job.removed_failures:
        rows.failures.pop(path, None)
    rows.failures.update(job.failures)


def _remove_subtree(rows: JobRows, path: str) -> None:
    below = path + "."
    for task in [task for task in rows.tasks if task.startswith(below)]:
        del rows.tasks[task]
    for key in [key for key in rows.blocks if key[0] == path or key[0].startswith(below)]:
        del rows.blocks[key]
    for task in [task for task in rows.failures if task.startswith(below)]:
        del rows.failures[task]


def check_rows(rows: JobRows) -> None:
    """Check that no row is below a completed task, that bits and rows agree, and that sums are right."""
    completed = {
        child_path(parent, child)
        for (parent, number), (bits, _) in rows.blocks.items()
        for child in children_in(number, bits)
    }
    tracked = {
        child_path(parent, child)
        for (parent, number), (_, bits) in rows.blocks.items()
        for child in children_in(number, bits)
    }
    assert tracked == rows.tasks.keys() - {""}
    for path in [*rows.tasks, *rows.failures, *(parent for parent, _ in rows.blocks)]:
        assert not completed & set(ancestors(path)), f"a row below a completed task: {path!r}"
    for parent, number in rows.blocks:
        assert 0 <= number <= (rows.tasks[parent].highest_child - 1) // BLOCK_CHILDREN
    assert rows.failures.keys() == {path for path, task in rows.tasks.items() if task.failed}
    for path, task in rows.tasks.items():
        children = [
            TaskState(*rows.tasks[child]) for child in tracked if child and parent_of(child)[0] == path
        ]
        assert task.completed_children == sum(
            bits.bit_count() for (parent, _), (bits, _) in rows.blocks.items() if parent == path
        )
        assert task.failed_children == sum(child.counts_as_failed() for child in children)
        assert task.children_percentage == sum(child.percentage() for child in children)
        assert not TaskState(*task).is_complete()


def ancestors(path: str) -> Iterator[str]:
    """List the path itself and those above it, without the job."""
    while path:
        yield path
        path = parent_of(path)[0]
