"""The worker's first thread, its main thread: poll and decode, hand over, and stay in the group."""

import queue
import time
from collections.abc import Callable
from functools import partial

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tracker.failpoints import reach
from tracker.kafka.batch import Batch
from tracker.kafka.consumer import BatchConsumer
from tracker.kafka.lag import LogEnds
from tracker.kafka.topics import topic_ids
from tracker.kafka.watch import KafkaWatch
from tracker.logs import get_logger
from tracker.messages.decode import DecodedBatch, Rules, decode_batch
from tracker.metrics import STAGE_DURATION
from tracker.obstacles import Cause, Obstacle
from tracker.pipeline.context import WorkerContext
from tracker.pipeline.skips import SkipWatch
from tracker.settings import Settings
from tracker.waiting import Stopping

_POLL_S = 0.1
_GATHER_STEP_S = 0.005
_LONGEST_GATHER_S = 0.5
_QUIET_S = 1.0  # after this time without a batch, one without records may follow: at most one a second

log = get_logger()


class PollLoop:
    """Owns the consumer; only the main thread may call it, and must call `poll_once` regularly."""

    def __init__(
        self,
        context: WorkerContext,
        settings: Settings,
        slot: int,
        rules: Rules,
        admin: AdminClient,
        watch: KafkaWatch,
    ) -> None:
        self._pipeline = context.pipeline
        self._waits = context.waits
        self._recorder = context.recorder
        self._rules = rules
        self._batch_wait_s = settings.batch_wait_ms / 1000
        self._admin = admin
        self.consumer = BatchConsumer(
            settings,
            slot,
            self._finish_batches,
            context.waits.for_broker,
            lambda topics: topic_ids(admin, topics),
            context.recorder,
        )
        self._watch = watch
        self._log_ends = LogEnds(admin)
        self._skip_watch = SkipWatch(settings, self.consumer, context.waits.obstacles, context.recorder)
        self._decoding = False
        self._waiting: tuple[Batch, DecodedBatch] | None = None  # decoded, not handed over yet
        self._next_lag_monotonic_s = 0.0
        self._last_batch_monotonic_s = 0.0

    def poll_once(self) -> None:
        """Poll for a moment; decode a batch, if one came, and hand it over.

        :raises Stopping: the worker has been stopping for long enough.
        """
        self._waits.mark_progress()
        if self._pipeline.failure is not None:
            raise self._pipeline.failure
        if self.consumer.epoch.abandoned:
            self._rewind()
        self._waits.obstacles.clear()
        self._admin.poll(0)  # librdkafka keeps its log lines in memory until then
        batch = self._skip_watch.poll() or self.consumer.poll(_POLL_S, self._may_end) or self._pass_markers()
        self._commit_delivered()
        self._measure_lag()
        self._check_surroundings()
        if batch is None:
            self._pipeline.in_flight.record_idle()
            return
        self._last_batch_monotonic_s = time.monotonic()
        reach("after-poll")
        began = time.perf_counter()
        self._decoding = True
        decoded = decode_batch(batch.records, self._rules, time.time_ns() // 1_000_000)
        self._decoding = False
        self._waits.obstacles.clear()
        self._recorder.observe(STAGE_DURATION, time.perf_counter() - began, stage="decode")
        self._hand_over(batch, decoded)

    def _pass_markers(self) -> Batch | None:
        """Move past transaction markers and aborted records after a moment without a batch.

        Otherwise the committed offset would stay before the markers of the last transactions. Lag would never
        reach 0, and after retention has removed the markers, no worker could start from that offset.
        """
        is_quiet = time.monotonic() - self._last_batch_monotonic_s > _QUIET_S
        return self.consumer.pass_markers() if is_quiet and not self._pipeline.in_flight.any else None

    def _may_end(self, waited_s: float) -> bool:
        """Return whether a batch that is not full ends now. If not, wait a moment, in which more may come."""
        in_flight = self._pipeline.in_flight
        if may_end(in_flight.count, waited_s, self._batch_wait_s):
            return True
        in_flight.wait_for_fewer(_GATHER_STEP_S)  # a poll would wake Python for each record
        return False

    def stay_in_group(self, pause: Callable[[], None] | None = None) -> None:
        """Stay in the group while no batch is polled; call `pause` first, if given.

        :raises Stopping: the worker has been stopping for long enough.
        """
        self._waits.mark_progress()
        (pause or self._waits.stop_deadline.check)()
        self.consumer.poll_paused(0)
        self._admin.poll(0)
        self._measure_lag()
        self._check_surroundings()

    def _check_surroundings(self) -> None:
        """Check what a batch would need, whether there is one or not."""
        self._watch.poll()
        reason = self.consumer.denial()
        self._waits.obstacles.observe("consumer", [Obstacle(Cause.KAFKA, reason)] if reason else ())

    def _measure_lag(self) -> None:
        now = time.monotonic()
        if now >= self._next_lag_monotonic_s:
            self._next_lag_monotonic_s = now + 1.0
            self.consumer.measure_lag(self._pipeline.published.copy(), self._log_ends.poll)

    def _hand_over(self, batch: Batch, decoded: DecodedBatch) -> None:
        """Give the batch to the next thread; if that is busy for long, stay in the group meanwhile."""
        self._pipeline.in_flight.begin()
        self._waiting = batch, decoded
        timeout_s = 1.0  # a pause discards what librdkafka has fetched, so wait for a busy second first
        while self._has_waiting and self._pipeline.failure is None and not batch.epoch.abandoned:
            if not self._put_waiting(timeout_s):
                timeout_s = _POLL_S
                self.stay_in_group()  # a rebalance in it hands the batch over too, to finish it
                self._commit_delivered()
        if self._has_waiting:
            self._waiting = None
            self._pipeline.in_flight.end()
        else:
            self.consumer.resume()

    @property
    def _has_waiting(self) -> bool:
        return self._waiting is not None

    def _put_waiting(self, timeout_s: float) -> bool:
        try:
            self._pipeline.to_apply.put(self._waiting, timeout=timeout_s)
        except queue.Full:
            return False
        self._waiting = None
        return True

    def _rewind(self) -> None:
        """Begin again at the committed offsets, when no batch is in flight."""
        while not self._pipeline.in_flight.wait_for_none(_POLL_S):
            if self._pipeline.failure is not None:
                raise self._pipeline.failure  # the failed thread ends no more batches
            self.stay_in_group()
        self._pipeline.to_commit.clear()
        while True:
            try:
                self.consumer.rewind()
                break
            except KafkaException as error:
                if self._waits.stopping.is_set():
                    raise Stopping from None
                self.stay_in_group(partial(self._waits.for_broker, error))
        self.consumer.resume()

    def _commit_delivered(self) -> None:
        """Commit the offsets of what was delivered without a transaction (at least once)."""
        to_commit = self._pipeline.to_commit
        delivered = to_commit.copy()
        if not delivered:
            return
        try:
            self.consumer.commit(delivered, self._pipeline.database_id)
        except KafkaException as error:
            log.warning("offsets not committed yet", error=error.args[0].str())
            return
        self._pipeline.published.update(delivered)
        to_commit.remove(delivered)

    def _finish_batches(self, timeout_s: float) -> None:
        """Finish the batches polled so far, or abandon them, before Kafka partitions are given back."""
        if self._decoding:
            self.consumer.epoch.abandoned = True  # decoding waits for a broker, and that wait has called this
        step_s, deadline = min(timeout_s, _POLL_S), time.monotonic() + timeout_s
        while self._has_waiting and not self._put_waiting(step_s) and not self._has_run_out(deadline):
            pass
        if self._pipeline.failure is None and not self._wait_for_none(timeout_s):
            self.consumer.epoch.abandoned = True
            self._wait_for_none(timeout_s)
        self._commit_delivered()

    def _wait_for_none(self, timeout_s: float) -> bool:
        """Wait until no batch is in flight, for this time or until the stop; return whether none is."""
        deadline = time.monotonic() + timeout_s
        while not self._pipeline.in_flight.wait_for_none(min(timeout_s, _POLL_S)):
            if self._has_run_out(deadline):
                return False
        return True

    def _has_run_out(self, deadline_monotonic_s: float) -> bool:
        must_stop = self._waits.stopping.is_set() and not self._waits.stop_deadline.left_s()
        return must_stop or time.monotonic() > deadline_monotonic_s


def may_end(in_flight: int, waited_s: float, batch_wait_s: float) -> bool:
    """Return whether a batch that is not full ends after `waited_s`, while `in_flight` others are in flight.

    It ends at once if there is none, and beside one after `batch_wait_s`. Beside two it would only wait in
    the next queue, where it cannot grow: batches would be smaller, their fixed costs higher, and a message
    would wait for up to five transactions before its own (at 1,000 messages a second on a slow broker 84 ms
    instead of 31). It still ends after a limit, because the caller has other work to do.
    """
    if in_flight == 0:
        return True
    return waited_s >= (batch_wait_s if in_flight == 1 else max(batch_wait_s, _LONGEST_GATHER_S))
