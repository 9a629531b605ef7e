"""Applies a batch to the database: load, fold, write, in one transaction."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

import msgspec
from confluent_kafka import Message

from tracker.failpoints import reach
from tracker.fold.decide import Decisions, decide, decide_redelivered
from tracker.fold.job_fold import JobFold, folds_of
from tracker.fold.state import JobState
from tracker.identifiers import JobName
from tracker.job_status import JobStatus
from tracker.kafka.batch import Batch, coordinates
from tracker.kafka.errors import BatchAbandoned, DestinationNotKnown, OffsetsRefused
from tracker.kafka_partition import KafkaPartition
from tracker.messages.decode import DecodedBatch, Rules, decode_batch
from tracker.messages.pending_task import PendingTask
from tracker.messages.refusal import Refusal
from tracker.messages.task_message import correlation_id_of
from tracker.metrics import STAGE_DURATION, Recorder
from tracker.pipeline.applied import Applied
from tracker.pipeline.applied_offsets import Disputed, lock_applied_offsets
from tracker.pipeline.handover import Pipeline
from tracker.pipeline.notes import notes_of
from tracker.pipeline.redelivery import Part, record_applied, split_redelivered, withheld_positions
from tracker.pipeline.refusals import Refusals
from tracker.rate_limited_log import RateLimitedLog
from tracker.store.batch_store import BatchStore, CompletedJob
from tracker.store.held_message import HeldMessage


class Applier:
    """Applies batches, one at a time.

    `pipeline.published` has the offsets that are known to be committed to Kafka; another thread updates them.
    Messages in `refusals` are not sent again. `committed_now(key)` asks Kafka for the group's offset.
    `rules` must not ask a broker, because they are used within a transaction, for whose locks others wait.
    """

    def __init__(
        self,
        store: BatchStore,
        rules: Rules,
        recorder: Recorder,
        pipeline: Pipeline,
        refusals: Refusals,
        committed_now: Callable[[KafkaPartition], int | None],
        *,
        propagate_failures: bool,
    ) -> None:
        self._store = store
        self._rules = rules
        self._recorder = recorder
        self._pipeline = pipeline
        self._refusals = refusals
        self._committed_now = committed_now
        self._propagate_failures = propagate_failures
        self._limited_log = RateLimitedLog()

    def apply(self, batch: Batch, decoded: DecodedBatch, rejected: "Refusal | None" = None) -> Applied:
        """Apply the batch; `decoded` is its records, decoded as if none had been applied before.

        With `rejected`, the batch is a single record that the database has refused. It becomes a dead letter.

        :raises psycopg.Error: nothing is stored, or, if the connection was lost, perhaps all of it is. In
            either case apply the batch again from the start.
        :raises OffsetsRefused: Kafka's offsets and this database do not belong together.
        :raises BatchAbandoned: another worker has its Kafka partitions now, or no broker has answered.
        :raises DestinationNotKnown: nothing is stored. Ask a broker about a destination first.
        """
        try:
            return self._apply(batch, decoded, rejected)
        except Disputed as disputed:
            # Kafka's answer dates from the assignment of the Kafka partition. If the group has continued
            # without this worker, the answer is only old. Committed offsets only grow, so that it is early
            # enough to ask again now, when the progress is no longer locked.
            if self._committed_now(disputed.key) != disputed.assigned.committed:
                raise BatchAbandoned("the group's offset has moved on") from None
            raise OffsetsRefused(str(disputed)) from None

    def _apply(self, batch: Batch, decoded: DecodedBatch, rejected: "Refusal | None") -> Applied:
        clock = _StageClock(self._recorder)
        with self._store.transaction():
            applied = lock_applied_offsets(self._store, self._pipeline, batch)
            # `old` was applied before, and is only published again.
            old, new = split_redelivered(batch, decoded, applied, self._refusals, self._decode)
            if rejected is not None and new.records:
                new.reject(rejected)
            jobs = self._lock_jobs(old.decoded, new.decoded)
            decide_redelivered(old.decoded, jobs, withheld_positions(old.records, applied))
            decided = decide(new.decoded, jobs)
            folds = folds_of(new.decoded.jobs, jobs)
            self._store.load([needs for fold in folds if (needs := fold.needs())])
            self._store.load([needs for fold in folds if (needs := fold.needs_more())])
            clock.record_stage("load")
            changes = [changes for fold in folds if (changes := fold.fold())]
            clock.record_stage("fold")
            reach("inside-database-transaction")
            self._store.hold(_held(new, decided))  # before the jobs: the batch may end one, which drops these
            completed = _completed(folds, new.records)
            self._store.store(changes, completed)
            # `old` does not show it: a redelivered range has no record if its records were skipped.
            has_old = any(offsets.first < applied[key].next_offset for key, offsets in batch.ranges.items())
            releases = self._release(batch, completed, self._failed(folds), has_old)
            self._store.note(notes_of(new, decided))
            record_applied(batch, applied, new, decided.withheld)
            self._store.advance_progress(applied)
            reach("before-database-commit")
            clock.record_stage("write")
        reach("after-database-commit")
        clock.record_stage("commit")
        return Applied(
            batch=batch,
            records=old.records + new.records,
            destinations=old.decoded.destinations + new.decoded.destinations,
            values=old.decoded.values + new.decoded.values,
            refused=_refused(old) + _refused(new),
            releases=releases,
            decoded=new.decoded,
            decided=decided,
            redelivered=len(old.records),
            contradictory=[fold for fold in folds if fold.contradictions],
        )

    def record_published(self, published: Mapping[KafkaPartition, int]) -> None:
        """Record that all records below these offsets are published, unless more was applied since.

        :raises psycopg.Error: nothing is recorded; the next batch records it.
        """
        with self._store.transaction():
            self._store.record_published(published)

    def clear_outbox(self, committed: Mapping[KafkaPartition, int]) -> None:
        """Remove the outbox entries that these committed offsets prove to be published.

        :raises psycopg.Error: nothing is removed; it can be done later.
        """
        with self._store.transaction():
            self._store.clear_outbox(committed)

    def _decode(self, records: list[Message]) -> DecodedBatch:
        return decode_batch(records, self._rules, time.time_ns() // 1_000_000)

    # Jobs

    def _release(
        self,
        batch: Batch,
        completed: list[CompletedJob],
        failed: list[JobState],
        has_old: bool,
    ) -> list[PendingTask]:
        """Release and fail dependents; return the jobs that start with the batch."""
        if has_old and completed:
            self._store.lock_edges(completed)
            # What old records have released is in the outbox, where others can see it, and may have to be put
            # back. That locks outbox rows, which come before the task messages that the release locks.
            self._read_releases(batch)
        self._store.release(completed, failed)
        return self._read_releases(batch) if completed or has_old else []

    def _read_releases(self, batch: Batch) -> list[PendingTask]:
        """Return the jobs that start with the batch; leave those with a refused topic to the scheduler."""
        releases = self._store.read_outbox(batch.ranges)
        topics = self._refusals_of({each.task_pipe for each in releases})
        sent, postponed = [], []
        for each in releases:
            refusal = topics[each.task_pipe] or self._refusals.of_release((each.tenant_key, each.job_key))
            if refusal is None:
                sent.append(each)
                continue
            postponed.append((each, refusal.detail))
            self._limited_log.log(
                "warning",
                "released jobs cannot be sent, and are tried again",
                refusal.detail,
                partial(dict[str, object], job=str(each.job)),
            )
        if postponed:
            self._store.postpone(postponed)
        return sent

    def _refusals_of(self, topics: set[str]) -> dict[str, Refusal | None]:
        """Return for each topic why nothing may be sent to it; None: it may.

        :raises DestinationNotKnown: with all topics that are not known, because the whole batch begins again
            after it.
        """
        refused: dict[str, Refusal | None] = {}
        for topic in topics:
            with suppress(DestinationNotKnown):
                refused[topic] = self._rules.refuse_destination(topic)
        if len(refused) < len(topics):
            raise DestinationNotKnown(*(topics - refused.keys()))
        return refused

    def _lock_jobs(self, old: DecodedBatch, new: DecodedBatch) -> dict[JobName, JobState]:
        names = list({**old.jobs, **new.jobs})
        if not names:
            return {}
        may_fail: set[JobName] = set()
        if self._propagate_failures:
            may_fail = {name for name, work in new.jobs.items() if work.may_fail}
        return self._store.lock_batch_jobs(names, may_fail)

    def _failed(self, folds: list[JobFold]) -> list[JobState]:
        return [fold.job for fold in folds if fold.has_failed] if self._propagate_failures else []


class _StageClock:
    """Measures the stages of a batch."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._since = time.perf_counter()

    def record_stage(self, stage: str) -> None:
        now = time.perf_counter()
        self._recorder.observe(STAGE_DURATION, now - self._since, stage=stage)
        self._since = now


def _refused(part: Part) -> list[tuple[Message, Refusal]]:
    return [(part.records[position], refusal) for position, refusal in part.decoded.refused]


def _held(part: Part, decided: Decisions) -> list[tuple[JobState, HeldMessage]]:
    held = []
    for job, destination, position in decided.held:
        record = part.records[position]
        headers = record.headers()
        (topic, kafka_partition), offset = coordinates(record)
        message = HeldMessage(
            destination,
            record.key(),
            part.decoded.values[position] or b"",
            msgspec.msgpack.encode(headers) if headers else None,
            topic,
            kafka_partition,
            offset,
            record.timestamp()[1],
        )
        held.append((job, message))
    return held


def _completed(folds: list[JobFold], records: list[Message]) -> list[CompletedJob]:
    completed = []
    for fold in folds:
        if fold.status is JobStatus.COMPLETED:
            record = records[fold.completing_position()]
            (topic, kafka_partition), offset = coordinates(record)
            correlation_id = correlation_id_of(record.value() or b"")
            encoded = correlation_id.encode() if correlation_id is not None else None
            completed.append(CompletedJob(fold.job, topic, kafka_partition, offset, encoded))
    return completed
