"""A worker process, put together: three threads, started and stopped, and what it says of itself."""

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
from tracker.kafka.stuck import StuckDestinations, Undelivered
from tracker.kafka.topics import (
    Access,
    access,
    admin_client,
    count_kafka_partitions,
    idle_workers,
    own_topics,
)
from tracker.kafka.watch import ConnectionErrors, KafkaWatch
from tracker.lifeline import ChildStatus, ExitStatus, Lifeline
from tracker.logs import get_logger
from tracker.messages.decode import Rules
from tracker.obstacles import Cause, Obstacle, with_stall
from tracker.pipeline.apply import Applier
from tracker.pipeline.apply_loop import ApplyLoop
from tracker.pipeline.handover import Pipeline
from tracker.pipeline.poll_loop import PollLoop
from tracker.pipeline.publish import Publisher
from tracker.pipeline.publish_loop import PublishLoop
from tracker.pipeline.refusals import Refusals
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
        self._refusal = ""
        self._threads: list[threading.Thread] = []

        pipeline = self._pipeline = Pipeline()
        waits = self._waits = Waits(lifeline.stopping, settings.shutdown_timeout_s * 0.3)
        recorder = lifeline.recorder
        stuck = StuckDestinations(waits.obstacles, recorder)
        errors = ConnectionErrors()
        self._admin = admin_client(settings, errors.on_error)
        self._destinations = Destinations(
            self._admin,
            [*settings.topics, settings.dead_letter_topic],
            settings.destinations,
            self._wait_in_group,
        )
        rules, rules_inside = (
            Rules(settings.topics, refuse, settings.max_message_bytes, settings.max_failure_chars)
            for refuse in (self._destinations.find_refusal, self._destinations.known_refusal)
        )
        transactional_id = f"{settings.group_id}-{settings.instance}-{slot}"
        self._watch = KafkaWatch(
            settings,
            transactional_id,
            self._admin,
            errors,
            waits.obstacles,
            stuck,
            self._destinations.used_lately,
            lambda: pipeline.in_flight.last_published_monotonic_s,
        )
        self._poll_loop = PollLoop(settings, slot, lifeline, rules, pipeline, waits, self._admin, self._watch)

        self._store = BatchStore(settings.database_conninfo)
        self._refusals = Refusals()
        applier = Applier(
            settings,
            self._store,
            rules_inside,
            recorder,
            pipeline,
            self._refusals,
            partial(committed_now, settings),
        )
        self._apply_loop = ApplyLoop(applier, self._store, rules, pipeline, waits, recorder)

        self._producer = BatchProducer(
            settings,
            transactional_id,
            recorder,
            self._wait_to_publish,
            self._on_refused,
            Undelivered(stuck),
            partial(broker_limits, self._admin),
        )

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
            self._refusal = str(refused)
            log.error("the worker refuses to continue", reason=self._refusal)
            return ExitStatus.REFUSED
        except ConsumerLost as lost:
            log.error("the worker has lost its membership of the group for good, and exits", reason=str(lost))
            return ExitStatus.FAILED
        except SlotShared as shared:
            self._refusal = str(shared)
            log.error("the worker's slot is used twice", reason=self._refusal)
            return ExitStatus.SLOT_SHARED
        finally:
            self._stop()
        return ExitStatus.DONE

    def _start(self) -> None:
        self._waits.for_database(self._store.connect)
        self._waits.for_database(self._claim_deployment)
        self._wait_for_topics()
        self._warn_of_idle_workers()
        publisher = Publisher(
            self._settings,
            self._producer,
            dead_letters_for(self._settings, self._admin),
            self._pipeline.database_id,
            self._refusals,
        )
        publish_loop = PublishLoop(
            self._settings, self._producer, publisher, self._pipeline, self._waits, self._lifeline.recorder
        )
        self._join()
        for name, work in (("apply", self._apply_loop.run), ("publish", publish_loop.run)):
            thread = threading.Thread(target=self._guarded, args=[work], name=name, daemon=True)
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
        self._pipeline.database_id = claim_deployment(self._settings)

    def _wait_for_topics(self) -> None:
        """Wait until the tracker's own topics are there, to be read and written."""
        wanted = own_topics(self._settings)
        while not self._lifeline.stopping.is_set():
            try:
                found = access(self._admin, wanted)
            except KafkaException as error:
                self._waits.for_broker(error)
                continue
            missing = [topic for topic, is_there in found.items() if is_there is Access.NO_TOPIC]
            forbidden = [
                f"to {wanted[topic].name.lower()} {topic}"
                for topic, is_there in found.items()
                if is_there is Access.NO_RIGHT
            ]
            if missing:
                log.warning("topics are missing: create them, with 'tracker topics --create'", topics=missing)
            if forbidden:
                log.warning("rights on topics are missing: add ACLs for the tracker's user", rights=forbidden)
            if not missing and not forbidden:
                self._waits.obstacles.clear()
                return
            reasons = [f"topic {topic!r} does not exist" for topic in missing]
            reasons += [f"the tracker lacks the right {right}" for right in forbidden]
            self._waits.obstacles.report(Cause.TOPICS, ", ".join(reasons))
            self._waits.stop_deadline.pause(2.0, self._lifeline.stopping.is_set)
        raise Stopping

    def _warn_of_idle_workers(self) -> None:
        """Say that there are fewer Kafka partitions than workers: one worker of each machine does."""
        if self._slot == 0:
            with suppress(KafkaException):
                count = count_kafka_partitions(self._admin, self._settings.topics)
                if warning := idle_workers(count, self._settings.workers):
                    log.warning(warning)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run a thread's work; what ends it ends the worker."""
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self._pipeline.failure = error
            self._poll_loop.consumer.epoch.abandoned = True

    def _wait_in_group(self, error: KafkaException) -> None:
        """Wait for a broker that is to say what a destination is, without being thought dead by the group.

        :raises BatchAbandoned: on the thread that applies, which holds locks that users may wait for.
        """
        if not self._waits.on_main_thread:
            raise BatchAbandoned(error.args[0].str())
        self._poll_loop.stay_in_group(partial(self._waits.for_broker, error))

    def _wait_to_publish(self, reason: str) -> None:
        """Wait a moment; only what is not published within seconds is an obstacle."""
        since_s = self._pipeline.in_flight.stalled_since()
        if since_s is None or time.monotonic() - since_s > _SLOW_S:
            self._waits.obstacles.report(Cause.KAFKA, reason)
        self._waits.stop_deadline.pause(0.05)

    def _on_refused(self, topic: str, error: KafkaError) -> None:
        log.warning("a destination did not take a message", topic=topic, error=error.str())
        self._destinations.record_failure(topic, error)

    def _obstacles(self) -> tuple[Obstacle, ...]:
        """Return what the worker waits for; where nothing moves and there is nothing, say that."""
        found = self._waits.obstacles
        found.observe("silence", filter(None, [self._apply_loop.silent()]))
        known = tuple(each for each in found.now() if each.cause is not Cause.UNKNOWN)
        all_ = with_stall(known, self._pipeline.in_flight.stalled_since())
        found.observe("stall", () if known else all_)
        return all_

    def _status(self) -> ChildStatus:
        joined, in_flight = self._poll_loop.consumer.joined, self._pipeline.in_flight
        obstacles = self._obstacles()
        is_held_up = any(each.blocks and each.cause is not Cause.UNKNOWN for each in obstacles)
        return ChildStatus(
            ready=joined and not self._refusal,
            has_work=in_flight.any and not is_held_up,
            last_progress_monotonic_s=in_flight.last_progress_monotonic_s,
            detail=self._refusal or "; ".join(map(str, obstacles)) or ("" if joined else "joining the group"),
            hangs=self._producer.hangs() or self._waits.hangs(),
            obstacles=obstacles,
            kafka_partitions=self._poll_loop.consumer.assigned,
            stalled_since_monotonic_s=in_flight.stalled_since(),
        )

    def _stop(self) -> None:
        """Finish what was polled, leave the group, and let the threads end."""
        self._waits.disarm_watchdog()
        if self._threads and self._pipeline.failure is None:
            self._pipeline.in_flight.wait_for_none(self._waits.stop_deadline.left_s())
        consumer = self._poll_loop.consumer
        consumer.epoch.abandoned = True
        try:
            consumer.close(self._settings.shutdown_timeout_s * 0.15)
        except (KafkaException, RuntimeError, TrackerError, Stopping) as error:
            log.warning("could not leave the group cleanly", error=str(error))
        ends = partial(self._pipeline.to_apply.put, None), partial(self._pipeline.to_publish.put, None)
        with suppress(Full):  # a thread that hangs ends with the process
            for end, thread in zip(ends, self._threads, strict=False):
                end(timeout=1)
                thread.join(1)
        self._producer.close()
        self._store.close()
