"""The worker's second thread: apply one batch after the other to the database, until each succeeds."""

import queue
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psycopg

from tracker.agreement import REMEDY
from tracker.errors import DatabaseUnavailable, TrackerError
from tracker.failpoints import reach
from tracker.kafka.batch import Batch, Epoch
from tracker.kafka.errors import BatchAbandoned, DestinationNotKnown, OffsetsRefused
from tracker.kafka_partition import KafkaPartition
from tracker.logs import get_logger
from tracker.messages.decode import DecodedBatch, Rules, decode_batch
from tracker.messages.refusal import Reason, Refusal
from tracker.metrics import DATABASE_RETRIES
from tracker.obstacles import Cause, Obstacle
from tracker.pipeline.applied import Applied
from tracker.pipeline.apply import Applier
from tracker.pipeline.context import WorkerContext
from tracker.store.batch_store import BatchStore
from tracker.store.explain import PASSING

_STEP_S = 0.1
_FIRST_RETRY_S = 0.05
_LONGEST_RETRY_S = 5.0
_PROBE_EVERY_S = 3.0
_SILENT_AFTER_S = 10.0
_REJECTIONS = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded)

log = get_logger()


class ApplyLoop:
    """Owns the connection to the database; only its thread may use it."""

    def __init__(self, context: WorkerContext, applier: Applier, store: BatchStore, rules: Rules) -> None:
        self._pipeline = context.pipeline
        self._stop_deadline = context.waits.stop_deadline
        self._obstacles = context.waits.obstacles
        self._recorder = context.recorder
        self._applier = applier
        self._store = store
        self._rules = rules
        self._next_probe_monotonic_s = 0.0
        self._asked_monotonic_s: float | None = None  # since when PostgreSQL owes an answer
        self._to_clear: dict[KafkaPartition, int] = {}  # outbox rows below these offsets are to be removed
        self._recorded: dict[KafkaPartition, int] = {}  # published offsets that the database knows

    def run(self) -> None:
        """Apply batches until None comes.

        :raises OffsetsRefused: Kafka's offsets and this database do not belong together.
        """
        while True:
            try:
                work = self._pipeline.to_apply.get(timeout=1.0)
            except queue.Empty:
                self._clear_outbox()
                self._record_published()
                self._probe()
                continue
            if work is None:
                self._clear_outbox()
                self._record_published()
                return
            try:
                self._apply(*work)
            except BaseException:
                self._pipeline.in_flight.end()
                raise
            self._clear_outbox()

    def silence(self) -> Obstacle | None:
        """Return an obstacle if PostgreSQL has not answered for long; any thread may ask."""
        asked = self._asked_monotonic_s
        if asked is None or time.monotonic() - asked < _SILENT_AFTER_S:
            return None
        return Obstacle(Cause.DATABASE, f"it has not answered for more than {_SILENT_AFTER_S:.0f} s")

    def _probe(self) -> None:
        """While there is no batch, test what one would need: a connection that may write to the tables."""
        if time.monotonic() < self._next_probe_monotonic_s:
            return
        self._next_probe_monotonic_s = time.monotonic() + _PROBE_EVERY_S
        for is_last in (False, True):  # a lost connection is no obstacle if a new one works
            try:
                with self._waiting_for_answer():
                    self._reconnect()
                    self._store.probe()
            except OffsetsRefused:
                raise
            except (*PASSING, TrackerError) as error:
                self._store.close_if_read_only(error)
                if is_last or self._store.is_sound:
                    self._obstacles.report(Cause.DATABASE, _one_line(error))
                    return
            else:
                self._obstacles.clear()
                return

    @contextmanager
    def _waiting_for_answer(self) -> Iterator[None]:
        self._asked_monotonic_s = time.monotonic()
        try:
            yield
        finally:
            self._asked_monotonic_s = None

    def _apply(self, batch: Batch, decoded: DecodedBatch | None, rejected: Refusal | None = None) -> None:
        """Repeat a batch until the database takes it, and hand it over. `decoded` None: decode it first.

        Halving finds a record that passed the validation and that the database still refuses.
        """
        retry_s, failures = _FIRST_RETRY_S, 0
        while not batch.epoch.abandoned:
            try:
                self._reconnect()
                if decoded is None:
                    decoded = decode_batch(batch.records, self._rules, time.time_ns() // 1_000_000)
                with self._waiting_for_answer():
                    applied = self._applier.apply(batch, decoded, rejected)
            except _REJECTIONS as error:
                if rejected is not None:
                    raise  # not even its dead letter can be recorded: no smaller part would help
                self._halve(batch, error)
                return
            except DestinationNotKnown as unknown:
                self._ask_about(unknown.topics, batch.epoch)
                continue
            except BatchAbandoned as error:
                log.warning("batch abandoned, and done again", error=str(error))
                batch.epoch.abandoned = True
                continue
            except PASSING as error:
                failures += 1
                self._record_failure(error, failures)
                self._pause(retry_s, batch.epoch)
                retry_s = min(2 * retry_s, _LONGEST_RETRY_S)
                continue
            self._obstacles.clear()
            # A predecessor may have left rows too. The first batch after an assignment removes them.
            to_clear = batch.ranges if applied.releases else batch.assigned_offsets
            self._to_clear.update({key: batch.ranges[key].next for key in to_clear})
            if self._hand_over(applied):
                return
        self._pipeline.in_flight.end()

    def _ask_about(self, topics: Sequence[str], epoch: Epoch) -> None:
        """Ask brokers about destinations; if none answers, abandon the batch."""
        try:
            for topic in topics:
                if epoch.abandoned:
                    break
                self._rules.refuse_destination(topic)
        except BatchAbandoned as error:
            log.warning("batch abandoned, and done again", error=str(error))
            epoch.abandoned = True

    def _record_failure(self, error: Exception, failures: int) -> None:
        """Count and log that the database has not taken a batch, `failures` times in a row."""
        self._store.close_if_read_only(error)
        cause = _cause(error)
        self._recorder.add(DATABASE_RETRIES, cause=cause)
        log.warning("the database did not take a batch; trying again", error=_one_line(error))
        if cause == "unavailable" and (failures > 1 or self._store.is_sound):
            self._obstacles.report(Cause.DATABASE, _one_line(error))

    def _hand_over(self, applied: Applied) -> bool:
        """Give the batch to the next thread, and return True; False if it was abandoned meanwhile."""
        while not applied.batch.epoch.abandoned:
            with suppress(queue.Full):
                self._pipeline.to_publish.put(applied, timeout=_STEP_S)
                return True
        return False

    def _halve(self, batch: Batch, error: psycopg.Error) -> None:
        if not batch.records:
            raise error  # no record can be the cause
        if len(batch.records) == 1:
            detail = f"PostgreSQL refuses what the record says: {_one_line(error)}"
            self._apply(batch, DecodedBatch(1), Refusal(Reason.DATABASE_REJECTED, detail))
            return
        self._pipeline.in_flight.begin()  # one becomes two
        for half in batch.split():
            self._apply(half, None)

    def _clear_outbox(self) -> None:
        """Remove published outbox rows now, or later if the database is away."""
        published = self._pipeline.published
        due = {key: offset for key, offset in self._to_clear.items() if published.get(key) >= offset}
        if not due:
            return
        reach("before-outbox-cleared")
        try:
            self._reconnect()
            self._applier.clear_outbox(due)
        except (psycopg.Error, DatabaseUnavailable) as error:
            log.debug("the outbox is cleared later", error=_one_line(error))
            return
        for key in due:
            del self._to_clear[key]

    def _record_published(self) -> None:
        """While there is no batch, record in the database that all it has applied is published.

        Each batch records this for the previous one. An idle or ending worker does it here for the last one.
        """
        published = self._pipeline.published.copy()
        due = {key: offset for key, offset in published.items() if self._recorded.get(key) != offset}
        if not due:
            return
        try:
            self._reconnect()
            self._applier.record_published(due)
        except (psycopg.Error, DatabaseUnavailable) as error:
            log.debug("published offsets are recorded later", error=_one_line(error))
            return
        self._recorded.update(due)

    def _reconnect(self) -> None:
        """Connect if the connection is lost.

        :raises OffsetsRefused: another database answers under the same name.
        """
        if self._store.connect() and self._store.database_id() != self._pipeline.database_id:
            raise OffsetsRefused(f"the database was replaced by another one while the worker ran; {REMEDY}")

    def _pause(self, seconds: float, epoch: Epoch) -> None:
        jitter = random.uniform(0.7, 1.3)
        self._stop_deadline.pause(seconds * jitter, lambda: epoch.abandoned)


def _cause(error: Exception) -> str:
    if isinstance(error, psycopg.errors.DeadlockDetected):
        return "deadlock"
    if isinstance(error, psycopg.errors.SerializationFailure):
        return "serialization"
    return "unavailable"


def _one_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
