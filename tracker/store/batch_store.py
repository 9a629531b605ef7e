"""What a batch reads and writes: one method a step, one statement a kind of change.

The methods are called within `transaction`, in the order in which they stand here; that order is the order
of locks (Kafka partitions' progress, jobs, edges, outbox, pending tasks), the same in every transaction.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg

from tracker.fold.job_fold import JobFold
from tracker.fold.state import Block, JobState, TaskState
from tracker.identifiers import JobName
from tracker.job_status import STATUSES, JobStatus
from tracker.kafka_partition import KafkaPartition
from tracker.messages.pending_task import PendingTask
from tracker.store import grants
from tracker.store.applied_offsets import AppliedOffsets
from tracker.store.connect import Conninfo
from tracker.store.held_message import HeldMessage
from tracker.store.session import Session, transaction_mark

# A job may be downstream of many failed ones, and is found from each of those that a statement is given; the
# next statement finds it no more.
ROOTS_AT_ONCE = 50
POSTPONED_S = 5  # a job whose topic does not exist is tried again after this long


class CompletedJob(NamedTuple):
    """A job that the batch has completed, and the record that did it."""

    job: JobState
    topic: str
    kafka_partition: int
    offset: int
    correlation_id: bytes | None


class BatchStore(Session):
    """A worker's connection to the job store. Not for several threads at once.

    Every method may raise `psycopg.Error`; after one the whole transaction is to be run again.
    """

    def __init__(self, conninfo: Conninfo) -> None:
        super().__init__(conninfo, "tracker-worker")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Store everything within as a whole, or nothing. Statements do not wait for each other.

        Nor do BEGIN and COMMIT: with psycopg's own `transaction` within a pipeline, a batch waits for
        PostgreSQL three times more.
        """
        connection = self._open
        try:
            with transaction_mark(), connection.pipeline():
                connection.execute("BEGIN", prepare=False)
                yield
                committed = connection.execute("COMMIT", prepare=False)
            if committed.statusmessage != "COMMIT":
                raise psycopg.OperationalError(f"COMMIT was answered by {committed.statusmessage}")
        except BaseException:
            _roll_back(connection)
            raise

    def probe(self) -> None:
        """Do nothing, and fail where a batch would: the server is away or read-only, or a right is missing.

        :raises TrackerError: rights are missing; the text says which.
        """
        self._execute("try_to_write")
        grants.require(self._open, grants.RUN)

    # How far Kafka partitions are applied

    def database_id(self) -> str:
        """Return what tells this database from a copy or another one."""
        [[database_id, _]] = self._execute("read_deployment").fetchall()
        return str(database_id)

    def lock_progress(
        self, topic_partitions: Sequence[KafkaPartition]
    ) -> dict[KafkaPartition, AppliedOffsets]:
        """Lock and return the progress of Kafka partitions; one that nothing was read of yet is left out."""
        rows = self._execute("lock_progress", **_topic_partitions(topic_partitions)).fetchall()
        return {
            (topic, kafka_partition): AppliedOffsets(
                next_offset,
                published_offset,
                topic_id,
                _bits_to_offsets(withheld, published_offset),
                {int(offset): (why[0], why[1]) for offset, why in refused.items()},
            )
            for topic, kafka_partition, next_offset, published_offset, topic_id, withheld, refused in rows
        }

    def start_progress(
        self, first_offsets: Mapping[KafkaPartition, int], topic_ids: Mapping[KafkaPartition, str]
    ) -> None:
        """Begin to keep the progress of Kafka partitions."""
        self._execute(
            "start_progress",
            **_topic_partitions(first_offsets),
            first_offsets=list(first_offsets.values()),
            topic_ids=[topic_ids.get(key, "") for key in first_offsets],
        )

    # Jobs

    def lock_batch_jobs(
        self, names: Iterable[JobName], may_fail: "set[JobName] | None"
    ) -> dict[JobName, JobState]:
        """Lock and return the jobs that exist.

        `may_fail`: where failures are propagated, the jobs that this batch may fail; everything downstream
        of them is locked and returned as well.
        """
        ordered = list(names)
        parameters: dict[str, object] = {
            "partition_ids": [name.partition_id for name in ordered],
            "job_ids": [name.job_id for name in ordered],
        }
        if may_fail:
            parameters["may_fail"] = [name in may_fail for name in ordered]
            cursor = self._execute("lock_batch_jobs_and_downstream", **parameters)
        else:
            cursor = self._execute("lock_batch_jobs", **parameters)
        found = {}
        for tenant_key, job_key, partition_id, job_id, status, percentage in cursor.fetchall():
            name = JobName(partition_id, job_id)
            found[name] = JobState(name, tenant_key, job_key, STATUSES[status], percentage)
        if may_fail:
            self._require_all_downstream(found, may_fail)
        return found

    def _require_all_downstream(self, found: Mapping[JobName, JobState], may_fail: "set[JobName]") -> None:
        """Begin the batch again if a job was submitted downstream while the locks were waited for.

        To lock it now would be out of order.
        """
        roots = [_key(found[name]) for name in may_fail if name in found]
        if not roots:
            return
        downstream = self._execute("list_downstream", **_columns(roots, "tenant_keys", "job_keys")).fetchall()
        if not set(downstream) <= {_key(job) for job in found.values()}:
            raise psycopg.errors.SerializationFailure("a job was submitted downstream of one that may fail")

    def load(self, folds: Sequence[JobFold]) -> None:
        """Load what the folds need into their jobs' states."""
        task_rows: list[tuple[int, int, str]] = []
        block_rows: list[tuple[int, int, str, int]] = []
        for fold in folds:
            key = fold.job.tenant_key, fold.job.job_key
            paths, blocks = fold.needs()
            task_rows += [(*key, path) for path in paths]
            block_rows += [(*key, path, number) for path, number in blocks]
        jobs = {fold.job.job_key: fold.job for fold in folds}
        tasks = self._tasks(task_rows)
        blocks_found = self._blocks(block_rows)
        if tasks is not None:
            _take_tasks(jobs, tasks)
        if blocks_found is not None:
            for _, job_key, path, number, completed, tracked in blocks_found.fetchall():
                jobs[job_key].blocks[path, number] = Block(
                    int.from_bytes(completed, "little"), int.from_bytes(tracked, "little"), stored=True
                )
            more = [
                (fold.job.tenant_key, fold.job.job_key, path)
                for fold in folds
                for path in fold.tracked_children()
            ]
            children = self._tasks(more)
            if children is not None:
                _take_tasks(jobs, children)

    def _tasks(self, rows: list[tuple[int, int, str]]) -> "psycopg.Cursor[Any] | None":
        if not rows:
            return None
        return self._execute("load_tasks", **_columns(rows, "tenant_keys", "job_keys", "paths"))

    def _blocks(self, rows: list[tuple[int, int, str, int]]) -> "psycopg.Cursor[Any] | None":
        if not rows:
            return None
        return self._execute("load_blocks", **_columns(rows, "tenant_keys", "job_keys", "paths", "blocks"))

    # What the fold has changed

    def store(self, folds: Sequence[JobFold]) -> None:
        """Store what the folds have made of their jobs."""
        touched = [fold for fold in folds if fold.touched]
        lasting = [fold for fold in touched if fold.status is not JobStatus.COMPLETED]
        completed = [fold for fold in touched if fold.status is JobStatus.COMPLETED]
        self._store_blocks(lasting)
        self._store_tasks(lasting)
        self._remove_completed_tasks(lasting)
        self._store_jobs(touched)
        self._run("remove_task_state", [_key(fold.job) for fold in completed if _has_rows(fold.job)], "job")
        self._store_failures(lasting)
        ended = [
            fold for fold in touched if fold.job.status is JobStatus.PAUSED and fold.status > JobStatus.PAUSED
        ]
        self._run("drop_held_messages", [_key(fold.job) for fold in ended], "job")

    def _store_jobs(self, folds: Sequence[JobFold]) -> None:
        rows = [(*_key(fold.job), fold.status.number, fold.percentage) for fold in folds]
        if rows:
            self._execute(
                "update_jobs", **_columns(rows, "tenant_keys", "job_keys", "statuses", "percentages")
            )

    def _store_tasks(self, folds: Sequence[JobFold]) -> None:
        rows = [
            (
                *_key(fold.job), path, task.reported, task.failed, task.last_child, task.highest_child,
                task.completed_children, task.failed_children, task.children_percentage,
            )
            for fold in folds
            for path, task in fold.changed_tasks()
        ]  # fmt: skip
        if rows:
            names = ("tenant_keys", "job_keys", "paths", "reported", "failed", "last_child", "highest_child")
            sums = ("completed_children", "failed_children", "children_percentage")
            self._execute("store_tasks", **_columns(rows, *names, *sums))

    def _store_blocks(self, folds: Sequence[JobFold]) -> None:
        rows = [
            (*_key(fold.job), path, number, _bytes(block.completed), _bytes(block.tracked))
            for fold in folds
            for (path, number), block in fold.changed_blocks()
        ]
        if rows:
            names = ("tenant_keys", "job_keys", "paths", "blocks", "completed", "tracked")
            self._execute("store_blocks", **_columns(rows, *names))

    def _remove_completed_tasks(self, folds: Sequence[JobFold]) -> None:
        self._run("remove_tasks", [(*_key(f.job), path) for f in folds for path in f.removed_tasks], "task")
        self._run(
            "remove_subtrees", [(*_key(f.job), path) for f in folds for path in f.removed_subtrees], "task"
        )
        self._run(
            "remove_failures", [(*_key(f.job), path) for f in folds for path in f.removed_failures], "task"
        )

    def _store_failures(self, folds: Sequence[JobFold]) -> None:
        rows = [
            (*_key(fold.job), path, *failure) for fold in folds for path, failure in fold.failures.items()
        ]
        if rows:
            details = ("failure_ids", "failure_times_ms", "failure_sources", "failure_messages")
            self._execute("store_failures", **_columns(rows, "tenant_keys", "job_keys", "paths", *details))
        changed = [
            fold
            for fold in folds
            if fold.failures
            or fold.removed_failures
            or (fold.removed_subtrees and fold.status is JobStatus.FAILED)
        ]
        self._run("summarize_failures", [_key(fold.job) for fold in changed], "job")

    def _run(self, name: str, rows: Sequence[tuple[Any, ...]], what: str) -> None:
        """Execute a statement on the keys of jobs or tasks, where there are any."""
        if rows:
            names = ("tenant_keys", "job_keys") if what == "job" else ("tenant_keys", "job_keys", "paths")
            self._execute(name, **_columns(rows, *names))

    def hold(self, messages: Sequence[tuple[JobState, HeldMessage]]) -> None:
        """Keep messages of paused jobs, in this order."""
        if messages:
            rows = [(*_key(job), *message) for job, message in messages]
            names = ("tenant_keys", "job_keys", "destinations", "message_keys", "message_values", "headers")
            sources = ("source_topics", "source_partitions", "source_offsets", "source_times_ms")
            self._execute("hold_messages", **_columns(rows, *names, *sources))

    # Release and propagation

    def lock_edges(self, completed: Sequence[CompletedJob], locked: Iterable[JobState]) -> None:
        """Lock the edges that lead to completed jobs, and all of the jobs in `locked`, in one order.

        Needed where more is locked behind them than `release` locks of completed jobs by itself.
        """
        others = list(locked)
        self._execute(
            "lock_edges",
            completed_tenant_keys=[done.job.tenant_key for done in completed],
            completed_job_ids=[done.job.name.job_id for done in completed],
            tenant_keys=[job.tenant_key for job in others],
            job_keys=[job.job_key for job in others],
        )

    def release(self, completed: Sequence[CompletedJob], failed: Sequence[JobState]) -> None:
        """Release what waited only for completed jobs; mark all that is downstream of failed ones as failed.

        Where there are failed ones, `lock_edges` has been called.
        """
        self._meet_prerequisites(completed)
        for first in range(0, len(failed), ROOTS_AT_ONCE):
            some = failed[first : first + ROOTS_AT_ONCE]
            self._run("fail_dependents", [_key(job) for job in some], "job")

    def _meet_prerequisites(self, completed: Sequence[CompletedJob]) -> None:
        if completed:
            rows = [(done.job.tenant_key, done.job.name.job_id, *done[1:]) for done in completed]
            names = ("tenant_keys", "job_ids", "topics", "kafka_partitions", "offsets", "correlation_ids")
            self._execute("meet_prerequisites", **_columns(rows, *names))

    def read_outbox(self, ranges: Mapping[KafkaPartition, tuple[int, int]]) -> list[PendingTask]:
        """Return the task messages that records in these ranges (first offset, next offset) have caused."""
        rows = self._execute(
            "read_outbox",
            **_topic_partitions(ranges),
            first_offsets=[first for first, _ in ranges.values()],
            next_offsets=[following for _, following in ranges.values()],
        ).fetchall()
        return [
            PendingTask(tenant_key, job_key, JobName(partition_id, job_id), *rest)
            for tenant_key, job_key, partition_id, job_id, *rest in rows
        ]

    def postpone(self, tasks: Sequence[PendingTask]) -> None:
        """Leave jobs to the scheduler that cannot be sent now."""
        if tasks:
            rows = [(task.tenant_key, task.job_key) for task in tasks]
            self._execute("postpone_tasks", **_columns(rows, "tenant_keys", "job_keys"), delay_s=POSTPONED_S)

    # The end of the batch

    def advance_progress(self, progress: Mapping[KafkaPartition, AppliedOffsets]) -> None:
        """Store how far the batch's Kafka partitions are applied."""
        self._execute(
            "advance_progress",
            **_topic_partitions(progress),
            next_offsets=[each.next_offset for each in progress.values()],
            published_offsets=[each.published_offset for each in progress.values()],
            withheld=[_offsets_to_bits(each.withheld, each.published_offset) for each in progress.values()],
            refused=[json.dumps(each.refused) for each in progress.values()],
        )

    def note_published(self, published: Mapping[KafkaPartition, int]) -> None:
        """Note that everything that is applied is published, where this is how far it is applied."""
        self._execute(
            "note_published", **_topic_partitions(published), published_offsets=list(published.values())
        )

    def clear_outbox(self, committed: Mapping[KafkaPartition, int]) -> None:
        """Remove what these committed offsets prove to be published."""
        if committed:
            self._execute(
                "clear_outbox", **_topic_partitions(committed), committed_offsets=list(committed.values())
            )


def _roll_back(connection: "psycopg.Connection[Any]") -> None:
    """Leave the transaction that has failed; where that fails as well, the connection."""
    try:
        connection.rollback()
    except psycopg.Error:
        connection.close()


def _take_tasks(jobs: Mapping[int, JobState], cursor: "psycopg.Cursor[Any]") -> None:
    for _, job_key, path, *columns in cursor.fetchall():
        jobs[job_key].tasks[path] = TaskState(*columns, stored=True)


def _key(job: JobState) -> tuple[int, int]:
    return job.tenant_key, job.job_key


def _has_rows(job: JobState) -> bool:
    return job.status is not JobStatus.WAITING


def _topic_partitions(keys: Iterable[KafkaPartition]) -> dict[str, object]:
    ordered = list(keys)
    return {"topics": [topic for topic, _ in ordered], "kafka_partitions": [number for _, number in ordered]}


def _columns(rows: Sequence[tuple[Any, ...]], *names: str) -> dict[str, object]:
    """Turn rows into arrays by parameter name."""
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def _bytes(bits: int) -> bytes:
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def _offsets_to_bits(offsets: set[int], base: int) -> bytes:
    if not offsets:
        return b""
    bits = bytearray((max(offsets) - base) // 8 + 1)
    for offset in offsets:
        position = offset - base
        bits[position >> 3] |= 1 << (position & 7)
    return bytes(bits)


def _bits_to_offsets(bits: bytes, base: int) -> set[int]:
    return {
        base + 8 * position + bit
        for position, byte in enumerate(bits)
        if byte
        for bit in range(8)
        if byte >> bit & 1
    }
