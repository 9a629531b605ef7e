"""A worker process: it starts and stops three threads, and reports its status."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Full

from confluent_kafka import KafkaError, KafkaException

from tracker.errors import TrackerError
from tracker.kafka.broker_limits import broker_limits, session_warnings
from tracker.kafka.committed import committed_now
from tracker.kafka.dead_letters import dead_letters_for
from tracker.kafka.destinations import Destinations
from tracker.kafka.errors import BatchAbandoned, ConsumerLost, OffsetsRefused, SlotShared
from tracker.kafka.membership import is_classic
from tracker.kafka.producer import BatchProducer
from tracker.kafka.sending import status_check_of
from tracker.kafka.stuck import StuckDestinations, Undelivered
from tracker.kafka.topics import admin_client
from tracker.kafka.watch import ConnectionErrors, KafkaWatch
from tracker.lifeline import ChildStatus, ExitStatus, Lifeline
from tracker.logs import get_logger
from tracker.messages.decode import Rules
from tracker.obstacles import Cause, Obstacle
from tracker.pipeline.apply import Applier
from tracker.pipeline.apply_loop import ApplyLoop
from tracker.pipeline.context import WorkerContext
from tracker.pipeline.handover import Pipeline
from tracker.pipeline.poll_loop import PollLoop
from tracker.pipeline.publish import Publisher
from tracker.pipeline.publish_loop import PublishLoop
from tracker.pipeline.refusals import Refusals
from tracker.pipeline.startup import wait_for_topics, warn_of_idle_workers
from tracker.pipeline.waits import Waits
from tracker.settings import Settings
from tracker.store.batch_store import BatchStore
from tracker.store.deployment import claim_deployment
from tracker.waiting import Stopping

_SLOW_S = 2.0

log = get_logger()


class Worker:
    """One worker process. `run` is the main thread, which polls and decodes; two more apply and publish."""

    def __init__(self, settings: Settings, slot: int, lifeline: Lifeline) -> None:
        self._settings = settings
        self._slot = slot
        self._lifeline = lifeline
        self._exit_reason = ""
        self._threads: list[threading.Thread] = []
        waits = Waits(lifeline.stopping, settings.shutdown_timeout_s * 0.3)
        self._context = WorkerContext(Pipeline(), waits, lifeline.recorder)
        self._transactional_id = f"{settings.group_id}-{settings.instance}-{slot}"
        self._stuck = StuckDestinations(waits.obstacles, lifeline.recorder)
        self._connection_errors = ConnectionErrors()
        self._admin = admin_client(settings, self._connection_errors.on_error)
        self._destinations = Destinations(
            self._admin,
            [*settings.topics, settings.dead_letter_topic],
            settings.destinations,
            self._wait_in_group,
        )
        self._rules, self._rules_in_transaction = (
            Rules(settings.topics, refuse, settings.max_message_bytes, settings.max_failure_chars)
            for refuse in (self._destinations.find_refusal, self._destinations.known_refusal)
        )
        self._store = BatchStore(settings.database_conninfo)
        self._refusals = Refusals()
        self._poll_loop = PollLoop(self._context, settings, slot, self._rules, self._admin, self._new_watch())
        self._apply_loop = ApplyLoop(self._context, self._new_applier(), self._store, self._rules)
        self._producer = self._new_producer()

    def _new_watch(self) -> KafkaWatch:
        in_flight = self._context.pipeline.in_flight
        return KafkaWatch(
            self._settings,
            self._transactional_id,
            self._admin,
            self._connection_errors,
            self._context.waits.obstacles,
            self._stuck,
            self._destinations.used_lately,
            lambda: in_flight.last_published_monotonic_s,
        )

    def _new_applier(self) -> Applier:
        return Applier(
            self._store,
            self._rules_in_transaction,
            self._context.recorder,
            self._context.pipeline,
            self._refusals,
            partial(committed_now, self._settings),
            propagate_failures=self._settings.propagate_failures,
        )

    def _new_producer(self) -> BatchProducer:
        return BatchProducer(
            self._settings,
            self._transactional_id,
            self._context.recorder,
            self._wait_to_publish,
            self._on_refused,
            Undelivered(self._stuck),
            partial(broker_limits, self._admin),
        )

    def _new_publish_loop(self) -> PublishLoop:
        publisher = Publisher(
            self._producer,
            dead_letters_for(self._settings, self._admin),
            self._context.pipeline.database_id,
            self._refusals,
            status_check_of(self._settings),
        )
        return PublishLoop(self._context, self._producer, publisher, self._settings)

    def run(self) -> int:
        """Work until asked to stop; return the exit status."""
        self._lifeline.report(self._status)
        try:
            self._start()
            while not self._lifeline.stopping.is_set():
                self._poll_loop.poll_once()
        except Stopping:
            pass
        except OffsetsRefused as refused:
            self._exit_reason = str(refused)
            log.error("the worker refuses to continue", reason=self._exit_reason)
            return ExitStatus.REFUSED
        except ConsumerLost as lost:
            log.error("the worker has lost its membership of the group for good, and exits", reason=str(lost))
            return ExitStatus.FAILED
        except SlotShared as shared:
            self._exit_reason = str(shared)
            log.error("the worker's slot is used twice", reason=self._exit_reason)
            return ExitStatus.SLOT_SHARED
        finally:
            self._stop()
        return ExitStatus.DONE

    def _start(self) -> None:
        waits = self._context.waits
        waits.for_database(self._store.connect)
        waits.for_database(self._claim_deployment)
        wait_for_topics(self._settings, self._admin, waits)
        if self._slot == 0:  # one worker of each machine
            warn_of_idle_workers(self._settings, self._admin)
        publish_loop = self._new_publish_loop()
        self._join()
        for name, work in (("apply", self._apply_loop.run), ("publish", publish_loop.run)):
            thread = threading.Thread(target=self._run_thread, args=[work], name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def _join(self) -> None:
        """Join the group, with what the brokers allow."""
        limits = broker_limits(self._admin)
        if is_classic(self._settings):
            for sentence in session_warnings(self._settings, limits):
                log.warning(sentence)
        self._poll_loop.consumer.connect(limits)
        self._poll_loop.consumer.subscribe()

    def _claim_deployment(self) -> None:
        self._context.pipeline.database_id = claim_deployment(self._settings)

    def _run_thread(self, work: Callable[[], None]) -> None:
        """Run a thread's work. An exception in it ends the worker."""
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self._context.pipeline.failure = error
            self._poll_loop.consumer.epoch.abandoned = True

    def _wait_in_group(self, error: KafkaException) -> None:
        """Wait for a broker that can answer about a destination, and stay in the group meanwhile.

        :raises BatchAbandoned: on the thread that applies, which may hold locks that users wait for.
        """
        waits = self._context.waits
        if not waits.on_main_thread:
            raise BatchAbandoned(error.args[0].str())
        self._poll_loop.stay_in_group(partial(waits.for_broker, error))

    def _wait_to_publish(self, reason: str) -> None:
        """Wait a moment; it is an obstacle only if nothing is published for seconds."""
        waits, since_s = self._context.waits, self._context.pipeline.in_flight.stalled_since()
        if since_s is None or time.monotonic() - since_s > _SLOW_S:
            waits.obstacles.report(Cause.KAFKA, reason)
        waits.stop_deadline.pause(0.05)

    def _on_refused(self, topic: str, error: KafkaError) -> None:
        log.warning("a destination did not take a message", topic=topic, error=error.str())
        self._destinations.record_failure(topic, error)

    def _obstacles(self) -> tuple[Obstacle, ...]:
        """Return what the worker waits for; if nothing moves without a known reason, return that."""
        found = self._context.waits.obstacles
        found.observe("silence", filter(None, [self._apply_loop.silence()]))
        return found.now_or_stall(self._context.pipeline.in_flight.stalled_since())

    def _status(self) -> ChildStatus:
        joined, in_flight = self._poll_loop.consumer.joined, self._context.pipeline.in_flight
        obstacles = self._obstacles()
        is_blocked = any(each.blocks and each.cause is not Cause.UNKNOWN for each in obstacles)
        return ChildStatus(
            ready=joined and not self._exit_reason,
            has_work=in_flight.any and not is_blocked,
            last_progress_monotonic_s=in_flight.last_progress_monotonic_s,
            detail=self._exit_reason
            or "; ".join(map(str, obstacles))
            or ("" if joined else "joining the group"),
            hangs=self._producer.hangs() or self._context.waits.hangs(),
            obstacles=obstacles,
            kafka_partitions=self._poll_loop.consumer.assigned,
            stalled_since_monotonic_s=in_flight.stalled_since(),
        )

    def _stop(self) -> None:
        """Finish the batches polled so far, leave the group, and end the threads."""
        waits, pipeline = self._context.waits, self._context.pipeline
        waits.disarm_watchdog()
        if self._threads and pipeline.failure is None:
            pipeline.in_flight.wait_for_none(waits.stop_deadline.left_s())
        consumer = self._poll_loop.consumer
        consumer.epoch.abandoned = True
        try:
            consumer.close(self._settings.shutdown_timeout_s * 0.15)
        except (KafkaException, RuntimeError, TrackerError, Stopping) as error:
            log.warning("could not leave the group cleanly", error=str(error))
        ends = partial(pipeline.to_apply.put, None), partial(pipeline.to_publish.put, None)
        with suppress(Full):  # a thread that hangs ends with the process
            for end, thread in zip(ends, self._threads, strict=False):
                end(timeout=1)
                thread.join(1)
        self._producer.close()
        self._store.close()
