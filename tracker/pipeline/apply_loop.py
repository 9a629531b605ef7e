"""The worker's second thread: bring one batch after the other into the database, whatever it takes."""

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
from tracker.metrics import DATABASE_RETRIES, Recorder
from tracker.obstacles import Cause, Obstacle
from tracker.pipeline.applied import Applied
from tracker.pipeline.apply import Applier
from tracker.pipeline.handover import Pipeline
from tracker.pipeline.waits import Waits
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

    def __init__(
        self,
        applier: Applier,
        store: BatchStore,
        rules: Rules,
        pipeline: Pipeline,
        waits: Waits,
        recorder: Recorder,
    ) -> None:
        self._applier = applier
        self._store = store
        self._rules = rules
        self._pipeline = pipeline
        self._stop_deadline = waits.stop_deadline
        self._obstacles = waits.obstacles
        self._next_probe_monotonic_s = 0.0
        self._asked_monotonic_s: float | None = None  # since when PostgreSQL has had to answer
        self._recorder = recorder
        self._uncleared: dict[KafkaPartition, int] = {}  # outbox rows below these offsets are to be removed
        self._noted: dict[KafkaPartition, int] = {}  # published offsets that the database knows

    def run(self) -> None:
        """Work until there is None to apply.

        :raises OffsetsRefused: Kafka's offsets and this database do not belong together.
        """
        while True:
            try:
                work = self._pipeline.to_apply.get(timeout=1.0)
            except queue.Empty:
                self._clear_outbox()
                self._note_published()
                self._probe()
                continue
            if work is None:
                self._clear_outbox()
                self._note_published()
                return
            try:
                self._apply(*work)
            except BaseException:
                self._pipeline.in_flight.end()
                raise
            self._clear_outbox()

    def silent(self) -> Obstacle | None:
        """Return that PostgreSQL does not answer, where it has not for long; any thread may ask."""
        asked = self._asked_monotonic_s
        if asked is None or time.monotonic() - asked < _SILENT_AFTER_S:
            return None
        return Obstacle(Cause.DATABASE, f"it has not answered for more than {_SILENT_AFTER_S:.0f} s")

    def _probe(self) -> None:
        """Try what a batch would need, while there is none: a connection that may write to the tables."""
        if time.monotonic() < self._next_probe_monotonic_s:
            return
        self._next_probe_monotonic_s = time.monotonic() + _PROBE_EVERY_S
        for is_last in (False, True):  # a lost connection is no obstacle where there is another
            try:
                with self._asking():
                    self._connect_again()
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
    def _asking(self) -> Iterator[None]:
        self._asked_monotonic_s = time.monotonic()
        try:
            yield
        finally:
            self._asked_monotonic_s = None

    def _apply(self, batch: Batch, decoded: DecodedBatch | None, rejected: Refusal | None = None) -> None:
        """Apply a batch, again and again until the database takes it, and pass it on. None: to be decoded.

        What passed the validation and is refused by the database all the same is found by halving.
        """
        retry_s, failures = _FIRST_RETRY_S, 0
        while not batch.epoch.abandoned:
            try:
                self._connect_again()
                if decoded is None:
                    decoded = decode_batch(batch.records, self._rules, time.time_ns() // 1_000_000)
                with self._asking():
                    applied = self._applier.apply(batch, decoded, rejected)
            except _REJECTIONS as error:
                self._halve(batch, error)
                return
            except DestinationNotKnown as unknown:
                self._ask(unknown.topics, batch.epoch)
                continue
            except BatchAbandoned as error:
                log.warning("batch abandoned, and done again", error=str(error))
                batch.epoch.abandoned = True
                continue
            except PASSING as error:
                failures += 1
                self._note_failure(error, failures)
                self._pause(retry_s, batch.epoch)
                retry_s = min(2 * retry_s, _LONGEST_RETRY_S)
                continue
            self._obstacles.clear()
            # A predecessor may have left rows too, which the first batch after an assignment removes.
            to_clear = batch.ranges if applied.releases else batch.assigned_offsets
            self._uncleared.update({key: batch.ranges[key].next for key in to_clear})
            if self._pass_on(applied):
                return
        self._pipeline.in_flight.end()

    def _ask(self, topics: Sequence[str], epoch: Epoch) -> None:
        """Ask brokers about destinations; where none answers, the batch is done again."""
        try:
            for topic in topics:
                if epoch.abandoned:
                    break
                self._rules.refuse_destination(topic)
        except BatchAbandoned as error:
            log.warning("batch abandoned, and done again", error=str(error))
            epoch.abandoned = True

    def _note_failure(self, error: Exception, failures: int) -> None:
        """Count and log that the database did not take a batch, `failures` times in a row by now."""
        self._store.close_if_read_only(error)
        cause = _cause(error)
        self._recorder.add(DATABASE_RETRIES, cause=cause)
        log.warning("the database did not take a batch; trying again", error=_one_line(error))
        if cause == "unavailable" and (failures > 1 or self._store.is_sound):
            self._obstacles.report(Cause.DATABASE, _one_line(error))

    def _pass_on(self, applied: Applied) -> bool:
        """Give the batch to the next thread, and return True; False if it was given up meanwhile."""
        while not applied.batch.epoch.abandoned:
            with suppress(queue.Full):
                self._pipeline.to_publish.put(applied, timeout=_STEP_S)
                return True
        return False

    def _halve(self, batch: Batch, error: psycopg.Error) -> None:
        if not batch.records:
            raise error  # no record is to blame
        if len(batch.records) == 1:
            detail = f"PostgreSQL refuses what the record says: {_one_line(error)}"
            self._apply(batch, DecodedBatch(1), Refusal(Reason.DATABASE_REJECTED, detail))
            return
        self._pipeline.in_flight.begin()  # one becomes two
        for half in batch.split():
            self._apply(half, None)

    def _clear_outbox(self) -> None:
        """Remove what is published by now; if the database is away, later."""
        published = self._pipeline.published
        due = {key: offset for key, offset in self._uncleared.items() if published.get(key) >= offset}
        if not due:
            return
        reach("before-outbox-cleared")
        try:
            self._connect_again()
            self._applier.clear_outbox(due)
        except (psycopg.Error, DatabaseUnavailable) as error:
            log.debug("the outbox is cleared later", error=_one_line(error))
            return
        for key in due:
            del self._uncleared[key]

    def _note_published(self) -> None:
        """Tell the database that all it has applied is published, while there is nothing else to do.

        Each batch notes this of the one before; a worker that idles, or ends, says so of the last.
        """
        published = self._pipeline.published.copy()
        due = {key: offset for key, offset in published.items() if self._noted.get(key) != offset}
        if not due:
            return
        try:
            self._connect_again()
            self._applier.note_published(due)
        except (psycopg.Error, DatabaseUnavailable) as error:
            log.debug("published offsets are recorded later", error=_one_line(error))
            return
        self._noted.update(due)

    def _connect_again(self) -> None:
        """Connect where the connection is lost.

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
