"""The worker's path without PostgreSQL and Kafka: decode, decide, load, fold, store, on rows in dicts.

Between batches, it keeps only what the SQL would keep, and a fold gets only what it has asked for. So a test
fails if the fold needs something without asking for it, or changes something without writing it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.support.decoding import RULES, decode
from tests.support.records import Record
from tests.support.stored_tasks import bits_of, stored_tasks
from tracker.fold.decide import Decisions, decide
from tracker.fold.job_fold import JobFold, folds_of
from tracker.fold.state import (
    Block,
    JobChanges,
    JobNeeds,
    JobState,
    TaskState,
    block_and_bit,
    children_in,
)
from tracker.identifiers import JobName, child_path, parent_of
from tracker.job_status import JobStatus
from tracker.messages.decode import DecodedBatch, Rules
from tracker.messages.event import Failure
from tracker.store.sibling_tasks import SIBLINGS, NeededTasks, changed_rows, keep_row


class TaskRow(NamedTuple):
    """A stored task, in the order of TaskState's parameters."""

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
    siblings: dict[tuple[str, int], tuple[bytes, int]] = field(default_factory=dict)
    later_blocks: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)

    @property
    def tasks(self) -> dict[str, TaskRow]:
        """The stored tasks, by path."""
        return {path: TaskRow(*values) for path, (*values, _, _) in self._stored().items()}

    @property
    def blocks(self) -> dict[tuple[str, int], tuple[int, int]]:
        """The completed and the tracked children of all blocks that have any."""
        first = {
            (path, 0): (bits_of(completed), bits_of(tracked))
            for path, (*_, completed, tracked) in self._stored().items()
            if completed or tracked
        }
        return first | self.later_blocks

    def _stored(self) -> dict[str, list[Any]]:
        return stored_tasks((path, tasks) for (path, _), (tasks, _) in self.siblings.items())

    def missing(self, job: JobName) -> Iterator[tuple[str, int, int]]:
        """List (parent, first, last) of the known children that have not completed."""
        blocks = self.blocks
        for path, task in self.tasks.items():
            completed = {
                child
                for (parent, number), (bits, _) in blocks.items()
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
            needed = NeededTasks([(job, paths, blocks)])
            for _, _, path, number in needed.missing_rows:
                if (path, number) in rows.siblings:
                    keep_row(job, path, number, *rows.siblings[path, number])
            for key in set(blocks) & rows.later_blocks.keys():
                job.blocks[key] = Block(*rows.later_blocks[key])
            needed.decode()

    def _store(self, changes: Sequence[JobChanges]) -> None:
        rows_by_key = {rows.job_key: rows for rows in self.jobs.values()}
        for change in changes:
            _store_job(rows_by_key[change.job.job_key], change)

    def check(self) -> None:
        """Check that the rows of every job agree with each other."""
        for name, rows in self.jobs.items():
            if rows.status in (JobStatus.WAITING, JobStatus.COMPLETED):
                left = [*rows.siblings, *rows.later_blocks, *rows.failures]
                assert left == [], f"{name}: rows that nobody needs"
                continue
            check_rows(rows)


def _store_job(rows: JobRows, change: JobChanges) -> None:
    rows.status, rows.percentage = change.status, change.percentage
    if change.status is JobStatus.COMPLETED:
        if change.job.status is not JobStatus.WAITING:
            rows.siblings.clear()
            rows.later_blocks.clear()
            rows.failures.clear()
        return
    stored, removed = changed_rows([change])
    for _, _, path, number, tasks, unknown in stored:
        rows.siblings[path, number] = tasks, unknown
    for _, _, path, number in removed:
        rows.siblings.pop((path, number), None)
    for key, block in change.blocks:
        rows.later_blocks[key] = block.completed, block.tracked
    for path in change.removed_subtrees:
        _remove_subtree(rows, path)
    for path in change.removed_failures:
        rows.failures.pop(path, None)
    rows.failures.update(change.failures)


def _remove_subtree(rows: JobRows, path: str) -> None:
    below = path + "."
    for kept in (rows.siblings, rows.later_blocks):
        for key in [key for key in kept if key[0] == path or key[0].startswith(below)]:
            del kept[key]
    for task in [task for task in rows.failures if task.startswith(below)]:
        del rows.failures[task]


def check_rows(rows: JobRows) -> None:
    """Check that no row is below a completed task, that bits and rows agree, and that sums are right."""
    tasks, blocks = rows.tasks, rows.blocks
    completed = {
        child_path(parent, child)
        for (parent, number), (bits, _) in blocks.items()
        for child in children_in(number, bits)
    }
    tracked = {
        child_path(parent, child)
        for (parent, number), (_, bits) in blocks.items()
        for child in children_in(number, bits)
    }
    assert tracked == tasks.keys() - {""}
    for path in [*tasks, *rows.failures, *(parent for parent, _ in blocks)]:
        assert not completed & set(ancestors(path)), f"a row below a completed task: {path!r}"
    for parent, number in blocks:
        assert 0 <= number <= block_and_bit(tasks[parent].highest_child)[0]
    assert rows.failures.keys() == {path for path, task in tasks.items() if task.failed}
    for path, task in tasks.items():
        children = [TaskState(*tasks[child]) for child in tracked if child and parent_of(child)[0] == path]
        assert task.completed_children == sum(
            bits.bit_count() for (parent, _), (bits, _) in blocks.items() if parent == path
        )
        assert task.failed_children == sum(child.counts_as_failed() for child in children)
        assert task.children_percentage == sum(child.percentage() for child in children)
        assert not TaskState(*task).is_complete()
    for (parent, number), (stored, unknown) in rows.siblings.items():
        of_row = stored_tasks([(parent, stored)])
        assert of_row
        assert unknown == sum(
            1 << (parent_of(path)[1] - SIBLINGS * number)
            for path in of_row
            if 0 == tasks[path].last_child < tasks[path].highest_child
        )


def ancestors(path: str) -> Iterator[str]:
    """List the path itself and those above it, without the job."""
    while path:
        yield path
        path = parent_of(path)[0]
