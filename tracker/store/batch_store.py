"""What a batch reads and writes: one method for each step, one statement for each kind of change.

Call the methods within `transaction`, in the order in which they stand here. It is the order in which every
transaction locks rows: Kafka partitions' progress, jobs, edges, outbox, task messages.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg

from tracker.fold.state import JobChanges, JobNeeds, JobState
from tracker.identifiers import JobName
from tracker.job_status import STATUSES
from tracker.kafka_partition import KafkaPartition
from tracker.messages.pending_task import PendingTask
from tracker.store import grants
from tracker.store.applied_offsets import AppliedOffsets, bits_to_offsets, offsets_to_bits
from tracker.store.arrays import columns, name_arrays
from tracker.store.connect import Conninfo
from tracker.store.held_message import HeldMessage
from tracker.store.job_changes import statements_of
from tracker.store.job_note import JobNote
from tracker.store.session import Session, transaction_mark
from tracker.store.sibling_tasks import NeededTasks, decode_block, keep_row

# How many failed jobs one statement gets. A job that is downstream of several of them is found from each; the
# next statement no longer finds it.
ROOTS_AT_ONCE = 50
POSTPONED_S = 5  # after this time, a job whose topic does not exist is tried again


class CompletedJob(NamedTuple):
    """A job that the batch has completed, and the record that completed it."""

    job: JobState
    topic: str
    kafka_partition: int
    offset: int
    correlation_id: bytes | None


class BatchStore(Session):
    """A worker's connection to the job store. Do not share it between threads.

    Every method may raise `psycopg.Error`; run the whole transaction again then.
    """

    def __init__(self, conninfo: Conninfo) -> None:
        super().__init__(conninfo, "tracker-worker")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Store everything within it as a whole, or nothing.

        Statements do not wait for each other, and neither do BEGIN and COMMIT: with psycopg's own
        `transaction` within a pipeline, a batch waits for PostgreSQL three times more.
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
        """Change nothing, and fail if a batch would: no server, a read-only one, or missing rights.

        :raises TrackerError: rights are missing; the text says which.
        """
        self._execute("try_to_write")
        grants.require(self._open, grants.RUN)

    # The progress of Kafka partitions

    def database_id(self) -> str:
        """Return the ID of this database, which is in the metadata of the offsets that belong to it."""
        [[database_id, _]] = self._execute("read_deployment").fetchall()
        return str(database_id)

    def lock_progress(self, keys: Sequence[KafkaPartition]) -> dict[KafkaPartition, AppliedOffsets]:
        """Lock and return the progress of Kafka partitions, except those that nothing was read from yet."""
        rows = self._execute("lock_progress", **_kafka_partitions(keys)).fetchall()
        return {
            (topic, kafka_partition): AppliedOffsets(
                next_offset,
                published_offset,
                topic_id,
                bits_to_offsets(withheld, published_offset),
                {int(offset): (reason, detail) for offset, (reason, detail) in refused.items()},
            )
            for topic, kafka_partition, next_offset, published_offset, topic_id, withheld, refused in rows
        }

    def start_progress(
        self, first_offsets: Mapping[KafkaPartition, int], topic_ids: Mapping[KafkaPartition, str]
    ) -> None:
        """Create the progress of Kafka partitions."""
        self._execute(
            "start_progress",
            **_kafka_partitions(first_offsets),
            first_offsets=list(first_offsets.values()),
            topic_ids=[topic_ids.get(key, "") for key in first_offsets],
        )

    # Jobs

    def lock_batch_jobs(
        self, names: Iterable[JobName], may_fail: "set[JobName] | None"
    ) -> dict[JobName, JobState]:
        """Lock and return the jobs that exist.

        `may_fail`: if failures are propagated, the jobs that this batch may fail. All jobs downstream of them
        are locked and returned too.
        """
        ordered = list(names)
        parameters: dict[str, object] = {**name_arrays(ordered)}
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
        """Have the batch start again if a job was submitted downstream while this one waited for locks.

        To lock that job now would break the order of locks.
        """
        roots = [_key(found[name]) for name in may_fail if name in found]
        if not roots:
            return
        downstream = self._execute("list_downstream", **columns(roots, "tenant_keys", "job_keys")).fetchall()
        if not set(downstream) <= {_key(job) for job in found.values()}:
            raise psycopg.errors.SerializationFailure("a job was submitted downstream of one that may fail")

    def load(self, needs: Sequence[JobNeeds]) -> None:
        """Load tasks and blocks into the states of jobs."""
        needed = NeededTasks(needs)
        blocks = [(*_key(job), path, number) for job, _, keys in needs for path, number in keys]
        jobs = {job.job_key: job for job, _, _ in needs}
        # Both statements are sent before the answer to either is waited for.
        task_rows = block_rows = None
        if needed.missing_rows:
            names: tuple[str, ...] = ("tenant_keys", "job_keys", "paths", "numbers")
            task_rows = self._execute("load_sibling_tasks", **columns(needed.missing_rows, *names))
        if blocks:
            names = ("tenant_keys", "job_keys", "paths", "blocks")
            block_rows = self._execute("load_blocks", **columns(blocks, *names))
        if task_rows is not None:
            for _, job_key, *row in task_rows.fetchall():
                keep_row(jobs[job_key], *row)
        needed.decode()
        if block_rows is not None:
            for _, job_key, path, number, completed, tracked in block_rows.fetchall():
                jobs[job_key].blocks[path, number] = decode_block(completed, tracked)

    def hold(self, messages: Sequence[tuple[JobState, HeldMessage]]) -> None:
        """Hold messages of paused jobs, in this order.

        Call it before `store`, which drops them if the batch ends the job too.
        """
        if messages:
            rows = [(*_key(job), *message) for job, message in messages]
            names = ("tenant_keys", "job_keys", "destinations", "message_keys", "message_values", "headers")
            sources = ("source_topics", "source_partitions", "source_offsets", "source_times_ms")
            self._execute("hold_messages", **columns(rows, *names, *sources))

    def store(self, changes: Sequence[JobChanges], completed: Sequence[CompletedJob]) -> None:
        """Write what the batch has changed of its jobs, and which records have completed some."""
        end_records = {
            done.job.job_key: f"{done.topic}:{done.kafka_partition}:{done.offset}" for done in completed
        }
        for name, parameters in statements_of(changes, end_records):
            self._execute(name, **parameters)

    # Release and propagation

    def lock_edges(self, completed: Sequence[CompletedJob]) -> None:
        """Lock the edges that lead to completed jobs, in key order.

        Call it if outbox rows are to be locked before `release`, which locks these edges otherwise.
        """
        self._execute(
            "lock_edges",
            tenant_keys=[done.job.tenant_key for done in completed],
            job_ids=[done.job.name.job_id for done in completed],
        )

    def release(self, completed: Sequence[CompletedJob], failed: Sequence[JobState]) -> None:
        """Release the jobs that waited only for completed jobs, and fail all jobs downstream of failed ones.

        Delete the task messages of the completed jobs.
        """
        self._meet_prerequisites(completed)
        for first in range(0, len(failed), ROOTS_AT_ONCE):
            roots = [_key(job) for job in failed[first : first + ROOTS_AT_ONCE]]
            self._execute("fail_dependents", **columns(roots, "tenant_keys", "job_keys"))
        if completed:
            keys = [_key(done.job) for done in completed]
            self._execute("remove_task_messages", **columns(keys, "tenant_keys", "job_keys"))

    def _meet_prerequisites(self, completed: Sequence[CompletedJob]) -> None:
        if completed:
            rows = [(done.job.tenant_key, done.job.name.job_id, *done[1:]) for done in completed]
            names = ("tenant_keys", "job_ids", "topics", "kafka_partitions", "offsets", "correlation_ids")
            self._execute("meet_prerequisites", **columns(rows, *names))

    def read_outbox(self, ranges: Mapping[KafkaPartition, tuple[int, int]]) -> list[PendingTask]:
        """Return the task messages that records in these ranges (first offset, next offset) have released."""
        rows = self._execute(
            "read_outbox",
            **_kafka_partitions(ranges),
            first_offsets=[first for first, _ in ranges.values()],
            next_offsets=[next_offset for _, next_offset in ranges.values()],
        ).fetchall()
        return [
            PendingTask(tenant_key, job_key, JobName(partition_id, job_id), *rest)
            for tenant_key, job_key, partition_id, job_id, *rest in rows
        ]

    def postpone(self, tasks: Sequence[tuple[PendingTask, str]]) -> None:
        """Leave jobs that cannot be sent now, and why, to the scheduler."""
        if tasks:
            rows = [(task.tenant_key, task.job_key, reason) for task, reason in tasks]
            names = ("tenant_keys", "job_keys", "reasons")
            self._execute("postpone_tasks", **columns(rows, *names), delay_s=POSTPONED_S)

    # The end of the batch

    def note(self, notes: Mapping[JobName, JobNote]) -> None:
        """Add to what is noted of jobs, of those that are stored."""
        if notes:
            rows = [
                (
                    *name,
                    note.dropped, note.drop_reason, note.drop_record,
                    note.dead_letters, note.dead_letter_reason, note.dead_letter_record,
                )
                for name, note in notes.items()
            ]  # fmt: skip
            drops = ("dropped", "drop_reasons", "drop_records")
            dead_letters = ("dead_letters", "dead_letter_reasons", "dead_letter_records")
            self._execute("note_records", **columns(rows, "partition_ids", "job_ids", *drops, *dead_letters))

    def advance_progress(self, progress: Mapping[KafkaPartition, AppliedOffsets]) -> None:
        """Store up to where the batch's Kafka partitions are applied."""
        self._execute(
            "advance_progress",
            **_kafka_partitions(progress),
            next_offsets=[each.next_offset for each in progress.values()],
            published_offsets=[each.published_offset for each in progress.values()],
            withheld=[offsets_to_bits(each.withheld, each.published_offset) for each in progress.values()],
            refused=[json.dumps(each.refused) for each in progress.values()],
            record_times_ms=[each.record_time_ms for each in progress.values()],
        )

    def record_published(self, published: Mapping[KafkaPartition, int]) -> None:
        """Record that Kafka partitions are published up to these offsets, unless they are applied further."""
        self._execute(
            "record_published", **_kafka_partitions(published), published_offsets=list(published.values())
        )

    def clear_outbox(self, committed: Mapping[KafkaPartition, int]) -> None:
        """Remove what is published according to these committed offsets."""
        if committed:
            self._execute(
                "clear_outbox", **_kafka_partitions(committed), committed_offsets=list(committed.values())
            )


def _roll_back(connection: "psycopg.Connection[Any]") -> None:
    """Roll the failed transaction back; if that fails too, close the connection."""
    try:
        connection.rollback()
    except psycopg.Error:
        connection.close()


def _key(job: JobState) -> tuple[int, int]:
    return job.tenant_key, job.job_key


def _kafka_partitions(keys: Iterable[KafkaPartition]) -> dict[str, object]:
    ordered = list(keys)
    return {"topics": [topic for topic, _ in ordered], "kafka_partitions": [number for _, number in ordered]}
