"""Applies a batch to the database: load, fold, write, in one transaction."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import msgspec
from confluent_kafka import Message

from tracker.agreement import REMEDY, Known, disagreement, is_made_anew
from tracker.failpoints import reach
from tracker.fold.decide import Decisions, decide, decide_again
from tracker.fold.job_fold import JobFold
from tracker.fold.state import JobState, JobStatus
from tracker.identifiers import JobName
from tracker.kafka.batch import Batch, Claim, TopicPartition, coordinates
from tracker.kafka.errors import BatchGivenUp, DestinationNotKnown, OffsetsRefused
from tracker.messages.decode import DecodedBatch, Rules, decode_batch
from tracker.messages.pending_task import PendingTask
from tracker.messages.refusal import Reason, Refusal
from tracker.messages.task_message import decode_message
from tracker.metrics import STAGE_DURATION, Recorder
from tracker.pipeline.applied import Applied
from tracker.pipeline.handover import Pipeline
from tracker.pipeline.refusals import Refusals
from tracker.rate_limited_log import RateLimitedLog
from tracker.settings import Settings
from tracker.store.batch_store import BatchStore, CompletedJob, Progress
from tracker.store.held_message import HeldMessage


@dataclass
class _Part:
    """Records that are new, or that were applied before."""

    records: list[Message]
    decoded: DecodedBatch


class _Disputed(Exception):
    """What Kafka said of a Kafka partition and what the database knows do not belong together."""

    def __init__(self, key: TopicPartition, claim: Claim, sentence: str) -> None:
        super().__init__(sentence)
        self.key = key
        self.claim = claim


class Applier:
    """Applies batches, one at a time.

    `pipeline.published` has the offsets that are known to be committed to Kafka; another thread moves them
    on. What is in `refusals` is not sent again.
    `committed_now(key)` asks Kafka for the group's offset. `rules` ask nobody: they are used within a
    transaction, whose locks others wait for.
    """

    def __init__(
        self,
        settings: Settings,
        store: BatchStore,
        rules: Rules,
        recorder: Recorder,
        pipeline: Pipeline,
        refusals: Refusals,
        committed_now: Callable[[TopicPartition], int | None],
    ) -> None:
        self._settings = settings
        self._store = store
        self._rules = rules
        self._recorder = recorder
        self._pipeline = pipeline
        self._refusals = refusals
        self._committed_now = committed_now
        self._limited_log = RateLimitedLog()

    def apply(self, batch: Batch, decoded: DecodedBatch, rejected: "Refusal | None" = None) -> Applied:
        """Apply the batch; `decoded` is its records, decoded as if none had been applied before.

        With `rejected`, the batch is a single record that the database has refused: it becomes a dead letter.

        :raises psycopg.Error: nothing is stored, or, if the connection was lost, perhaps all of it is; in
            either case the batch is to be applied again from the start.
        :raises OffsetsRefused: Kafka's offsets and this database do not belong together.
        :raises BatchGivenUp: another worker has gone on with its Kafka partitions, or no broker has answered.
        :raises DestinationNotKnown: nothing is stored, and a broker must be asked about a destination first.
        """
        try:
            return self._apply(batch, decoded, rejected)
        except _Disputed as disputed:
            # The claim is from when the Kafka partition was assigned. If the group has gone on without this
            # worker since, it is only old. What the group commits only grows, so it is early enough to ask
            # now that the progress is no longer locked.
            if self._committed_now(disputed.key) != disputed.claim.committed:
                raise BatchGivenUp("the group's offset has moved on") from None
            raise OffsetsRefused(str(disputed)) from None

    def _apply(self, batch: Batch, decoded: DecodedBatch, rejected: "Refusal | None") -> Applied:
        clock = _Clock(self._recorder)
        with self._store.transaction():
            progress = self._lock_progress(batch)
            old, new = self._told_apart(batch, decoded, progress)
            # What was applied before may have no record any more: one that is stepped over, say.
            has_old = any(first < progress[key].next_offset for key, (first, _) in batch.ranges.items())
            if rejected is not None and new.records:
                _reject(new, rejected)
            jobs = self._look_up(old.decoded, new.decoded)
            decided = [
                decide_again(old.decoded, jobs, _positions(old.records, progress)),
                decide(new.decoded, jobs),
            ]
            folds = _folds(new.decoded, jobs)
            self._store.load(folds)
            clock.lap("load")
            for fold in folds:
                fold.fold()
            clock.lap("fold")
            reach("inside-database-transaction")
            self._store.hold(_held(new, decided[1]))  # before what drops it: the batch may end the job too
            self._store.store(folds)
            completed = _completed(folds, new.records)
            failed = [fold.job for fold in folds if _has_failed(fold)]
            releases = self._release(
                batch, completed, failed if self._settings.propagate_failures else [], jobs, has_old
            )
            self._store.advance_progress(self._advanced(batch, progress, new, decided[1]))
            reach("before-database-commit")
            clock.lap("write")
        reach("after-database-commit")
        clock.lap("commit")
        return Applied(
            batch=batch,
            records=old.records + new.records,
            destinations=old.decoded.destinations + new.decoded.destinations,
            values=old.decoded.values + new.decoded.values,
            refused=[
                (part.records[place], why) for part in (old, new) for place, why in part.decoded.refused
            ],
            releases=releases,
            decoded=new.decoded,
            decided=decided[1],
            redelivered=len(old.records),
            folds=folds,
        )

    def note_published(self, published: Mapping[TopicPartition, int]) -> None:
        """Note that all is published that is applied up to these offsets, unless more was applied since.

        :raises psycopg.Error: nothing is noted; the next batch notes it.
        """
        with self._store.transaction():
            self._store.note_published(published)

    def clear_outbox(self, committed: Mapping[TopicPartition, int]) -> None:
        """Remove what these committed offsets prove to be published.

        :raises psycopg.Error: nothing is removed; it can be done later.
        """
        with self._store.transaction():
            self._store.clear_outbox(committed)

    # What was applied before

    def _lock_progress(self, batch: Batch) -> dict[TopicPartition, Progress]:
        progress = self._store.lock_progress(list(batch.ranges))
        missing = {key: first for key, (first, _) in batch.ranges.items() if key not in progress}
        for key, claim in batch.first_claims.items():
            self._check_claim(key, claim, progress.get(key), batch.ranges[key][0])
        if missing:
            _require_first(missing, batch)
            ids = {key: claim.topic_id for key, claim in batch.first_claims.items()}
            self._store.start_progress(missing, ids)
            progress = self._store.lock_progress(list(batch.ranges))
        for key, each in progress.items():
            _require_no_gap(key, batch.ranges[key][0], each)
            claimed = batch.first_claims[key].committed if key in batch.first_claims else None
            each.publish_up_to(max(self._pipeline.published.get(key), claimed or 0))
        return progress

    def _check_claim(self, key: TopicPartition, claim: Claim, progress: Progress | None, first: int) -> None:
        """Compare what Kafka said when the Kafka partition was assigned with what the database knows."""
        known = None
        if progress is not None:
            known = Known(progress.next_offset, progress.published_offset, progress.topic_id)
        if is_made_anew(claim.topic_id, known):
            raise _Disputed(
                key,
                claim,
                f"topic {key[0]!r} was deleted and made anew, and the database has applied records of the old"
                f" one; {REMEDY}",
            )
        wrong = disagreement(claim.committed, claim.metadata, known, self._pipeline.database_id, first)
        if wrong:
            raise _Disputed(key, claim, f"{_place(key)}: {wrong}; {REMEDY}")

    def _told_apart(
        self, batch: Batch, decoded: DecodedBatch, progress: Mapping[TopicPartition, Progress]
    ) -> tuple[_Part, _Part]:
        """Return the records that were applied before, and the new ones."""
        records = list(batch.records)
        if all(progress[key].next_offset <= first for key, (first, _) in batch.ranges.items()):
            return _Part([], DecodedBatch(0)), _Part(records, decoded.fresh())
        old: list[Message] = []
        new: list[Message] = []
        for record in records:
            key, offset = coordinates(record)
            (old if offset < progress[key].next_offset else new).append(record)
        old_decoded = self._decode(old)
        _refuse_again(old, old_decoded, progress, self._refusals)
        return _Part(old, old_decoded), _Part(new, self._decode(new))

    def _decode(self, records: list[Message]) -> DecodedBatch:
        return decode_batch(records, self._rules, time.time_ns() // 1_000_000)

    def _advanced(
        self, batch: Batch, progress: dict[TopicPartition, Progress], new: _Part, decided: Decisions
    ) -> dict[TopicPartition, Progress]:
        for place in decided.withheld:
            key, offset = coordinates(new.records[place])
            progress[key].withheld.add(offset)
        for place, why in new.decoded.refused:
            if why.reason in (
                Reason.DESTINATION_UNKNOWN,
                Reason.DESTINATION_NOT_ALLOWED,
                Reason.DATABASE_REJECTED,
            ):
                key, offset = coordinates(new.records[place])
                progress[key].refused[offset] = why.reason.value, why.detail
        for key, (_, behind) in batch.ranges.items():
            progress[key].next_offset = max(progress[key].next_offset, behind)
        return progress

    # Jobs

    def _release(
        self,
        batch: Batch,
        completed: list[CompletedJob],
        failed: list[JobState],
        jobs: Mapping[JobName, JobState],
        has_old: bool,
    ) -> list[PendingTask]:
        """Release and fail dependents, and return the jobs that start with the batch."""
        if failed or (has_old and completed):
            self._store.lock_edges(completed, jobs.values() if failed else ())
        if has_old and completed:
            # What old records have released is in an outbox that others can see, and may have to be put
            # back: that locks outbox rows, which come before the pending tasks that the release locks.
            self._read_releases(batch)
        self._store.release(completed, failed)
        return self._read_releases(batch) if completed or has_old else []

    def _read_releases(self, batch: Batch) -> list[PendingTask]:
        """Return the jobs that start with the batch; one whose topic is refused is left to the scheduler."""
        releases = self._store.read_outbox(batch.ranges)
        topics = self._refusals_of({each.task_pipe for each in releases})
        refused = {
            (pending.tenant_key, pending.job_key): why
            for pending in releases
            if (
                why := topics[pending.task_pipe]
                or self._refusals.of_release((pending.tenant_key, pending.job_key))
            )
        }
        if not refused:
            return releases
        for each in releases:
            why = refused.get((each.tenant_key, each.job_key))
            if why is not None:
                self._limited_log.note(
                    "warning",
                    "released jobs cannot be sent, and are tried again",
                    why.detail,
                    partial(dict[str, object], job=str(each.job)),
                )
        self._store.postpone([each for each in releases if (each.tenant_key, each.job_key) in refused])
        return [each for each in releases if (each.tenant_key, each.job_key) not in refused]

    def _refusals_of(self, topics: set[str]) -> dict[str, Refusal | None]:
        """Return why nothing may be sent to each topic, None where it may.

        :raises DestinationNotKnown: with all that are not known: for each the whole batch begins again.
        """
        refused: dict[str, Refusal | None] = {}
        for topic in topics:
            with suppress(DestinationNotKnown):
                refused[topic] = self._rules.refuse_destination(topic)
        if len(refused) < len(topics):
            raise DestinationNotKnown(*(topics - refused.keys()))
        return refused

    def _look_up(self, old: DecodedBatch, new: DecodedBatch) -> dict[JobName, JobState]:
        names = list({**old.jobs, **new.jobs})
        if not names:
            return {}
        may_fail: set[JobName] = set()
        if self._settings.propagate_failures:
            may_fail = {name for name, work in new.jobs.items() if work.may_fail}
        return self._store.lock_batch_jobs(names, may_fail)


class _Clock:
    """Measures the steps of a batch."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._since = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self._recorder.observe(STAGE_DURATION, now - self._since, stage=stage)
        self._since = now


def _place(key: TopicPartition) -> str:
    return f"Kafka partition {key[1]} of topic {key[0]!r}"


def _require_first(missing: Mapping[TopicPartition, int], batch: Batch) -> None:
    """Only what has just been assigned may be new to the database."""
    for key, first in missing.items():
        if key not in batch.first_claims:
            raise OffsetsRefused(
                f"{_place(key)}: the worker has come to {first}, and the database knows nothing of it any"
                f" more: it was set back, or exchanged, while the worker ran; {REMEDY}"
            )


def _require_no_gap(key: TopicPartition, first: int, progress: Progress) -> None:
    """What lies between would never be applied.

    A standby that had not heard of the last transactions, and took over, shows here.
    """
    if first > progress.next_offset:
        raise OffsetsRefused(
            f"{_place(key)}: the worker has come to {first}, and the database has applied it only up to"
            f" {progress.next_offset}: it was set back while the worker ran; {REMEDY}"
        )


def _reject(part: _Part, rejected: Refusal) -> None:
    """Make a dead letter of the only record of a batch."""
    part.decoded = DecodedBatch(len(part.records))
    part.decoded.refused.append((0, rejected))


def _refuse_again(
    records: list[Message],
    decoded: DecodedBatch,
    progress: Mapping[TopicPartition, Progress],
    refusals: Refusals,
) -> None:
    """What became a dead letter for a reason outside itself is one again, and what Kafka refused is."""
    refused = dict(decoded.refused)
    for place, record in enumerate(records):
        key, offset = coordinates(record)
        why = refusals.of_record(key, offset)
        if offset in progress[key].refused:
            reason, detail = progress[key].refused[offset]
            why = Refusal(Reason(reason), detail)
        if why is not None:
            refused[place] = why
            decoded.destinations[place] = None
    decoded.refused = sorted(refused.items())


def _positions(records: list[Message], progress: Mapping[TopicPartition, Progress]) -> set[int]:
    """Return the positions of records that were dropped or held when they were applied."""
    found = set()
    for place, record in enumerate(records):
        key, offset = coordinates(record)
        if offset in progress[key].withheld:
            found.add(place)
    return found


def _folds(batch: DecodedBatch, jobs: Mapping[JobName, JobState]) -> list[JobFold]:
    folds = []
    for name, work in batch.jobs.items():
        job = jobs.get(name)
        if job is None or job.status > JobStatus.FAILED:
            continue
        if work.reports_anything:
            folds.append(JobFold(job, work))
    return folds


def _has_failed(fold: JobFold) -> bool:
    """Tell whether the batch has failed the job, or more of it; the task may be repaired by now."""
    newly = fold.job.status is not JobStatus.FAILED
    return fold.status is JobStatus.FAILED and (newly or bool(fold.failures))


def _held(part: _Part, decided: Decisions) -> list[tuple[JobState, HeldMessage]]:
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
            correlation_id = decode_message(record.value() or b"")[0].correlationId
            encoded = correlation_id.encode() if correlation_id is not None else None
            completed.append(CompletedJob(fold.job, topic, kafka_partition, offset, encoded))
    return completed
