"""The worker's third thread: publish one applied batch after the other, and commit its offsets."""

import time
from queue import Empty

from tracker.failpoints import reach
from tracker.kafka.errors import BatchAbandoned, ClockRefused
from tracker.kafka.producer import BatchProducer
from tracker.metrics import STAGE_DURATION
from tracker.obstacles import Cause
from tracker.pipeline.account import account_for
from tracker.pipeline.applied import Applied
from tracker.pipeline.context import WorkerContext
from tracker.pipeline.publish import Publisher
from tracker.rate_limited_log import RateLimitedLog
from tracker.settings import Settings
from tracker.store.clock import refused_clock

_RETRIES_AT_ONCE = 3
_DOUBLINGS = 5  # to 1.6 s
_CALLBACKS_EVERY_S = 1.0
_CLOCK_S = 2.0
_IDLE_TURNS = 3


class PublishLoop:
    """Owns the producer; only its thread may use it."""

    def __init__(
        self, context: WorkerContext, producer: BatchProducer, publisher: Publisher, settings: Settings
    ) -> None:
        pipeline = self._pipeline = context.pipeline
        self._waits = context.waits
        self._recorder = context.recorder
        self._producer = producer
        self._publisher = publisher
        self._conninfo = settings.database_conninfo
        self._limited_log = RateLimitedLog()
        is_transactional = settings.delivery != "at_least_once"
        self._delivered = pipeline.published if is_transactional else pipeline.to_commit
        self._failures = 0  # in a row

    def run(self) -> None:
        """Publish batches until None comes.

        :raises SlotShared: another process uses the transactional ID.
        """
        self._waits.for_kafka(self._producer.start)  # takes as long as to join the group: both at once
        while (applied := self._next()) is not None:
            epoch, published = applied.batch.epoch, False
            try:
                if not epoch.abandoned:
                    self._publish(applied)
                    published, self._failures = True, 0
            except ClockRefused:
                epoch.abandoned = True
                self._wait_for_clock()
            except BatchAbandoned as error:
                epoch.abandoned = True
                self._failures += 1
                self._pause_after_failure(str(error))
            finally:
                self._pipeline.in_flight.end(published=published)
            if epoch.abandoned:
                self._waits.for_kafka(self._producer.recover)

    def _next(self) -> Applied | None:
        idle_turns = 0
        while True:
            try:
                return self._pipeline.to_publish.get(timeout=_CALLBACKS_EVERY_S)
            except Empty:
                self._producer.poll_callbacks()
                idle_turns += not self._pipeline.in_flight.any
                if idle_turns >= _IDLE_TURNS:
                    self._waits.obstacles.clear()  # an abandoned batch is another worker's by now
                    self._producer.undelivered.published()

    def _publish(self, applied: Applied) -> None:
        began = time.perf_counter()
        self._publisher.publish(applied)
        self._waits.obstacles.clear()
        reach("after-kafka-commit")
        self._delivered.update(applied.batch.next_offsets())
        self._recorder.observe(STAGE_DURATION, time.perf_counter() - began, stage="publish")
        account_for(applied, self._recorder, self._limited_log)

    def _wait_for_clock(self) -> None:
        """Wait a moment before Kafka is tried again with this machine's time."""
        self._waits.obstacles.report(Cause.CLOCK, refused_clock(self._conninfo))
        self._waits.stop_deadline.pause(_CLOCK_S)

    def _pause_after_failure(self, reason: str) -> None:
        """Wait a moment after repeated failures. The first ones do not wait: a rebalance is soon over."""
        if self._failures > _RETRIES_AT_ONCE:
            doublings = min(self._failures - _RETRIES_AT_ONCE, _DOUBLINGS)
            self._waits.obstacles.report(Cause.KAFKA, reason)
            self._waits.stop_deadline.pause(0.05 * 2**doublings)
