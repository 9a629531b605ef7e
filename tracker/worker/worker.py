"""The hot path: poll, decode, load, fold, write, publish, commit."""

import math
import queue
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import psycopg
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AclOperation, AdminClient

from tracker.agreement import REMEDY
from tracker.errors import DatabaseUnavailable, TrackerError
from tracker.failpoints import reach
from tracker.kafka.batch import Batch, Run, TopicPartition
from tracker.kafka.consumer import BatchConsumer, committed_now
from tracker.kafka.dead_letters import DeadLetters
from tracker.kafka.destinations import Destinations
from tracker.kafka.errors import BatchGivenUp, ConsumerLost, OffsetsRefused, SlotShared
from tracker.kafka.producer import BatchProducer
from tracker.kafka.topics import Access, TopicWatch, access, max_message_bytes, topic_ids
from tracker.lifeline import ChildStatus, ExitStatus, Lifeline
from tracker.logs import get_logger, kafka_logger
from tracker.messages.batch import Rules, Sorted, sort_batch
from tracker.messages.refusal import Reason, Refused
from tracker.metrics import DATABASE_RETRIES, STAGE_DURATION
from tracker.settings import Settings
from tracker.store.batch_store import BatchStore
from tracker.store.connect import PASSING
from tracker.store.deployment import claim_deployment
from tracker.waiting import Patience, Stopping
from tracker.worker.account import account_for
from tracker.worker.apply import Applied, Applier
from tracker.worker.in_flight import InFlight
from tracker.worker.publish import Publisher
from tracker.worker.refusals import Refusals

_POLL_S = 0.1
_FIRST_RETRY_S = 0.05
_LONGEST_RETRY_S = 5.0
_HANGS_AFTER_S = 120.0  # of the main thread: its longest wait, in a rebalance, is for batches, twice 10 s
_FREE_RETRIES = 3
_DOUBLINGS = 5  # to 1.6 s
_REJECTIONS = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded)

log = get_logger()


class Worker:
    """One worker process. `run` is the main thread, which polls and decodes; two more apply and publish."""

    def __init__(self, settings: Settings, slot: int, lifeline: Lifeline) -> None:
        self._settings = settings
        self._lifeline = lifeline
        recorder = self._recorder = lifeline.recorder
        self._patience = Patience(lifeline.stopping, settings.shutdown_timeout_s * 0.3)
        self._in_flight = InFlight()
        self._to_apply: queue.Queue[tuple[Batch, Sorted] | None] = queue.Queue(1)
        self._to_publish: queue.Queue[Applied | None] = queue.Queue(1)
        self._failure: BaseException | None = None
        self._published: dict[TopicPartition, int] = {}  # offsets known to be committed
        self._to_commit: dict[TopicPartition, int] = {}  # at least once: delivered, not committed yet
        self._uncleared: dict[TopicPartition, int] = {}  # outbox rows below these offsets are to be removed
        self._noted: dict[TopicPartition, int] = {}  # published offsets that the database knows
        self._refusal = ""

        self._admin = AdminClient(dict(settings.kafka_client_properties()), logger=kafka_logger())
        self._destinations = Destinations(
            settings.kafka_client_properties(),
            [*settings.topics, settings.dead_letter_topic],
            settings.destinations,
            self._wait_in_group,
        )
        self._rules = Rules(
            settings.topics, self._destinations.refuse, settings.max_message_bytes, settings.max_failure_chars
        )
        self._store = BatchStore(settings.database_conninfo())
        self._refusals = Refusals()
        self._applier = Applier(
            settings,
            self._store,
            self._rules,
            recorder,
            self._published,
            self._refusals,
            partial(committed_now, settings),
        )
        transactional_id = f"{settings.group_id}-{settings.instance}-{slot}"
        self._producer = BatchProducer(
            settings, transactional_id, recorder, self._wait_to_publish, self._on_refused
        )
        self._consumer = BatchConsumer(
            settings, slot, self._finish_batches, self._wait_for_broker, self._topic_ids, recorder
        )
        self._threads: list[threading.Thread] = []
        self._polling_thread = threading.current_thread()
        self._decoding = False
        self._in_hand: tuple[Batch, Sorted] | None = None  # decoded, not handed over yet
        self._next_lag_monotonic_s = 0.0
        self._turned_monotonic_s = math.inf  # when the main thread last showed that it goes on; not yet

    def run(self) -> int:
        """Work until asked to stop; return the exit status."""
        self._lifeline.report(self._status)
        try:
            self._start()
            while not self._lifeline.stopping.is_set():
                self._turn()
        except Stopping:
            pass
        except OffsetsRefused as refused:
            self._refusal = str(refused)
            log.error("the worker refuses to go on", reason=self._refusal)
            return ExitStatus.REFUSED
        except ConsumerLost as lost:
            log.error("the worker has lost its place in the group for good, and ends", reason=str(lost))
            return ExitStatus.FAILED
        except SlotShared as shared:
            self._refusal = str(shared)
            log.error("the worker's slot is used twice", reason=self._refusal)
            return ExitStatus.SLOT_SHARED
        finally:
            self._stop()
        return ExitStatus.DONE

    def _start(self) -> None:
        self._reach_database(self._store.connect)
        self._reach_database(self._claim_deployment)
        self._wait_for_topics()
        self._topic_watch = TopicWatch(self._admin, self._settings.topics)
        limit = max_message_bytes(self._admin, self._settings.dead_letter_topic)
        dead_letters = DeadLetters(self._settings, limit)
        self._publisher = Publisher(
            self._settings, self._producer, dead_letters, self._applier.database_id, self._refusals
        )
        self._consumer.subscribe()
        for name, work in (("apply", self._apply_batches), ("publish", self._publish_batches)):
            thread = threading.Thread(target=self._guarded, args=[work], name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def _claim_deployment(self) -> None:
        self._applier.database_id = claim_deployment(self._settings)

    def _wait_for_topics(self) -> None:
        """Wait until the tracker's own topics are there, to be read and written."""
        wanted = dict.fromkeys(self._settings.topics, AclOperation.READ)
        wanted[self._settings.dead_letter_topic] = AclOperation.WRITE
        while not self._lifeline.stopping.is_set():
            try:
                found = access(self._admin, wanted)
            except KafkaException as error:
                self._wait_for_broker(error)
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
                return
            waiting_for = ["topics " + ", ".join(missing)] * bool(missing) + [
                "the right " + right for right in forbidden
            ]
            self._patience.pause(2.0, ", ".join(waiting_for), self._lifeline.stopping.is_set)
        raise Stopping

    # The main thread: poll and decode

    def _turn(self) -> None:
        self._turned_monotonic_s = time.monotonic()
        if self._failure is not None:
            raise self._failure
        if self._consumer.run.given_up:
            self._rewind()
        if not self._in_flight.any:
            self._patience.waiting_for = ""
        batch = self._consumer.poll(_POLL_S, lambda: not self._to_apply.full())
        self._commit_delivered()
        self._measure_lag()
        self._topic_watch.look()
        if batch is None:
            return
        reach("after-poll")
        began = time.perf_counter()
        self._decoding = True
        batch_sorted = sort_batch(batch.records, self._rules, time.time_ns() // 1_000_000)
        self._decoding = False
        self._recorder.observe(STAGE_DURATION, time.perf_counter() - began, stage="decode")
        self._hand_over(batch, batch_sorted)

    def _measure_lag(self) -> None:
        now = time.monotonic()
        if now >= self._next_lag_monotonic_s:
            self._next_lag_monotonic_s = now + 1.0
            self._consumer.measure_lag()

    def _hand_over(self, batch: Batch, batch_sorted: Sorted) -> None:
        """Give the batch to the next thread; while that is busy for long, stay in the group."""
        self._in_flight.begin()
        self._in_hand = batch, batch_sorted
        patience_s = 1.0  # to pause costs what librdkafka has fetched, so a busy second is waited out
        while self._has_in_hand and self._failure is None and not batch.run.given_up:
            if not self._put_in_hand(patience_s):
                patience_s = _POLL_S
                self._turned_monotonic_s = time.monotonic()
                self._patience.check()
                self._consumer.idle(0)  # a rebalance in there hands it over too, to finish it
                self._commit_delivered()
        if self._has_in_hand:
            self._in_hand = None
            self._in_flight.end()
        else:
            self._consumer.go_on()

    @property
    def _has_in_hand(self) -> bool:
        return self._in_hand is not None

    def _put_in_hand(self, timeout_s: float) -> bool:
        try:
            self._to_apply.put(self._in_hand, timeout=timeout_s)
        except queue.Full:
            return False
        self._in_hand = None
        return True

    def _rewind(self) -> None:
        """Begin again at the committed offsets, once no batch is worked on."""
        while not self._in_flight.wait_for_none(_POLL_S):
            self._turned_monotonic_s = time.monotonic()
            self._patience.check()
            self._consumer.idle(0)
        self._to_commit.clear()
        while True:
            try:
                self._consumer.rewind()
                break
            except KafkaException as error:
                log.warning("cannot go back to the committed offsets yet", error=error.args[0].str())
                if self._lifeline.stopping.is_set():
                    raise Stopping from None
                self._turned_monotonic_s = time.monotonic()
                self._patience.pause(1.0, "Kafka")
                self._consumer.idle(0)
        self._consumer.go_on()

    def _commit_delivered(self) -> None:
        """Commit what was delivered without a transaction (at least once)."""
        delivered = dict(self._to_commit)
        if not delivered:
            return
        try:
            self._consumer.commit(delivered, self._applier.database_id)
        except KafkaException as error:
            log.warning("offsets not committed yet", error=error.args[0].str())
            return
        self._published.update(delivered)
        for key, offset in delivered.items():
            if self._to_commit.get(key) == offset:
                del self._to_commit[key]

    def _finish_batches(self, timeout_s: float) -> None:
        """Before Kafka partitions are given up: finish what was polled, or give it up."""
        if self._decoding:
            self._consumer.run.given_up = True  # it waits for a broker, and this is called from in there
        step_s, deadline = min(timeout_s, _POLL_S), time.monotonic() + timeout_s
        while self._has_in_hand and not self._put_in_hand(step_s) and not self._is_over(deadline):
            pass
        if self._failure is None and not self._wait_for_none(timeout_s):
            self._consumer.run.given_up = True
            self._wait_for_none(timeout_s)
        self._commit_delivered()

    def _wait_for_none(self, timeout_s: float) -> bool:
        """Return whether no batch is worked on any more, waiting for so long, or until it is time to stop."""
        deadline = time.monotonic() + timeout_s
        while not self._in_flight.wait_for_none(min(timeout_s, _POLL_S)):
            if self._is_over(deadline):
                return False
        return True

    def _is_over(self, deadline_monotonic_s: float) -> bool:
        is_to_end = self._lifeline.stopping.is_set() and not self._patience.left_s()
        return is_to_end or time.monotonic() > deadline_monotonic_s

    # The second thread: load, fold, write

    def _apply_batches(self) -> None:
        while True:
            try:
                work = self._to_apply.get(timeout=1.0)
            except queue.Empty:
                self._clear_outbox()
                self._note_published()
                continue
            if work is None:
                self._clear_outbox()
                self._note_published()
                return
            self._apply(*work)
            self._clear_outbox()

    def _apply(self, batch: Batch, batch_sorted: Sorted | None, rejected: Refused | None = None) -> None:
        """Apply a batch, again and again until the database takes it, and pass it on. None: to be sorted.

        What passed the validation and is refused by the database all the same is found by halving.
        """
        retry_s = _FIRST_RETRY_S
        while not batch.run.given_up:
            try:
                self._connect_again()
                if batch_sorted is None:
                    batch_sorted = sort_batch(batch.records, self._rules, time.time_ns() // 1_000_000)
                applied = self._applier.apply(batch, batch_sorted, rejected)
            except _REJECTIONS as error:
                self._halve(batch, error)
                return
            except BatchGivenUp as error:
                log.warning("batch given up, and done again", error=str(error))
                batch.run.given_up = True
                continue
            except PASSING as error:
                self._recorder.add(DATABASE_RETRIES, cause=_cause(error))
                log.warning("the database did not take a batch; trying again", error=_one_line(error))
                self._pause(retry_s, batch.run)
                retry_s = min(2 * retry_s, _LONGEST_RETRY_S)
                continue
            self._patience.waiting_for = ""
            # A predecessor may have left rows too, which the first batch after an assignment removes.
            to_clear = batch.ranges if applied.starts else batch.first_claims
            self._uncleared.update({key: batch.ranges[key][1] for key in to_clear})
            if self._pass_on(applied):
                return
        self._in_flight.end()

    def _pass_on(self, applied: Applied) -> bool:
        """Give the batch to the next thread, and return True; False if it was given up meanwhile."""
        while not applied.batch.run.given_up:
            with suppress(queue.Full):
                self._to_publish.put(applied, timeout=_POLL_S)
                return True
        return False

    def _halve(self, batch: Batch, error: psycopg.Error) -> None:
        if len(batch.records) == 1:
            detail = f"PostgreSQL refuses what the record says: {_one_line(error)}"
            self._apply(batch, Sorted(1), Refused(Reason.DATABASE_REJECTED, detail))
            return
        self._in_flight.begin()  # one becomes two
        for half in batch.split():
            self._apply(half, None)

    def _clear_outbox(self) -> None:
        """Remove what is published by now; if the database is away, later."""
        due = {
            key: offset for key, offset in self._uncleared.items() if self._published.get(key, 0) >= offset
        }
        if not due:
            return
        reach("before-outbox-cleared")
        try:
            self._connect_again()
            self._applier.clear_outbox(due)
        except (psycopg.Error, DatabaseUnavailable) as error:
            log.warning("the outbox is cleared later", error=_one_line(error))
            return
        for key in due:
            del self._uncleared[key]

    def _note_published(self) -> None:
        """Tell the database that all it has applied is published, while there is nothing else to do.

        Each batch notes this of the one before; a worker that idles, or ends, says so of the last.
        """
        due = {key: offset for key, offset in self._published.items() if self._noted.get(key) != offset}
        if not due:
            return
        try:
            self._connect_again()
            self._applier.note_published(due)
        except (psycopg.Error, DatabaseUnavailable) as error:
            log.debug("what is published is noted later", error=_one_line(error))
            return
        self._noted.update(due)

    def _connect_again(self) -> None:
        """Connect where the connection is lost.

        :raises OffsetsRefused: another database answers under the same name.
        """
        if self._store.connect() and self._store.database_id() != self._applier.database_id:
            raise OffsetsRefused(f"the database was exchanged for another one while the worker ran; {REMEDY}")

    # The third thread: publish, commit

    def _publish_batches(self) -> None:
        self._reach_kafka(self._producer.start)  # which takes as long as to join the group: both at once
        failures = 0  # in a row
        while (applied := self._to_publish.get()) is not None:
            began = time.perf_counter()
            run = applied.batch.run
            try:
                if not run.given_up:
                    self._publisher.publish(applied)
                    self._patience.waiting_for = ""
                    reach("after-kafka-commit")
                    offsets = {key: behind for key, (_, behind) in applied.batch.ranges.items()}
                    (self._to_commit if self._at_least_once else self._published).update(offsets)
                    self._recorder.observe(STAGE_DURATION, time.perf_counter() - began, stage="publish")
                    account_for(applied, self._recorder)
                    failures = 0
            except BatchGivenUp:
                run.given_up = True
                failures += 1
                self._rest(failures)
            finally:
                self._in_flight.end()
            if run.given_up:
                self._reach_kafka(self._producer.settle)

    def _rest(self, failures: int) -> None:
        """Let a moment pass before what fails again and again is done again; a rebalance is over at once."""
        if failures > _FREE_RETRIES:
            self._patience.pause(0.05 * 2 ** min(failures - _FREE_RETRIES, _DOUBLINGS), "Kafka")

    @property
    def _at_least_once(self) -> bool:
        return self._settings.delivery == "at_least_once"

    # Trouble

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run a thread's work; what ends it ends the worker."""
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self._failure = error
            self._consumer.run.given_up = True
            self._in_flight.end()

    def _pause(self, seconds: float, run: Run) -> None:
        jitter = random.uniform(0.7, 1.3)
        self._patience.pause(seconds * jitter, "PostgreSQL", lambda: run.given_up)

    def _reach_database(self, call: Callable[[], object]) -> None:
        while True:
            try:
                call()
                return
            except DatabaseUnavailable as error:
                log.warning("waiting for PostgreSQL", error=str(error))
                self._patience.pause(1.0, "PostgreSQL", self._lifeline.stopping.is_set)
                if self._lifeline.stopping.is_set():
                    raise Stopping from None

    def _reach_kafka(self, call: Callable[[], None]) -> None:
        while True:
            try:
                call()
                return
            except KafkaException as error:
                self._wait_for_broker(error)

    def _wait_for_broker(self, error: KafkaException) -> None:
        log.warning("waiting for Kafka", error=error.args[0].str())
        if threading.current_thread() is self._polling_thread:
            self._turned_monotonic_s = time.monotonic()
        self._patience.pause(1.0, "Kafka")

    def _wait_to_publish(self) -> None:
        self._patience.pause(0.05, "Kafka")

    def _wait_in_group(self, error: KafkaException) -> None:
        """Wait for a broker that is to say what a destination is, without being thought dead by the group.

        :raises BatchGivenUp: on the thread that applies, which has rows locked that users may want to change.
        """
        if threading.current_thread() is not self._polling_thread:
            raise BatchGivenUp(error.args[0].str())
        self._wait_for_broker(error)
        self._consumer.idle(0)

    def _topic_ids(self, topics: list[str]) -> dict[str, str]:
        return topic_ids(self._admin, topics)

    def _on_refused(self, topic: str, error: KafkaError) -> None:
        log.warning("a destination did not take a message", topic=topic, error=error.str())
        self._destinations.failed(topic, error)

    def _status(self) -> ChildStatus:
        waiting_for = self._patience.waiting_for
        return ChildStatus(
            ready=self._consumer.joined and not self._refusal,
            has_work=self._in_flight.any and not waiting_for,
            last_progress_monotonic_s=self._in_flight.last_progress_monotonic_s,
            detail=self._refusal or (f"waiting for {waiting_for}" if waiting_for else ""),
            hangs=self._producer.hangs() or self._hangs(),
        )

    def _hangs(self) -> str:
        """Name the call to Kafka that the main thread does not return from; empty: all is well."""
        still_s = time.monotonic() - self._turned_monotonic_s
        return "a call of the consumer" if still_s > _HANGS_AFTER_S else ""

    def _stop(self) -> None:
        """Finish what was polled, leave the group, and let the threads end."""
        self._turned_monotonic_s = math.inf
        if self._threads and self._failure is None:
            self._in_flight.wait_for_none(self._patience.left_s())
        self._consumer.run.given_up = True
        try:
            self._consumer.close(self._settings.shutdown_timeout_s * 0.15)
        except (KafkaException, RuntimeError, TrackerError, Stopping) as error:
            log.warning("left the group in disorder", error=str(error))
        with suppress(queue.Full):  # a thread that hangs ends with the process
            for inbox, thread in zip((self._to_apply, self._to_publish), self._threads, strict=False):
                inbox.put(None, timeout=1)  # type: ignore[attr-defined]
                thread.join(1)
        self._producer.close()
        self._store.close()


def _cause(error: Exception) -> str:
    if isinstance(error, psycopg.errors.DeadlockDetected):
        return "deadlock"
    if isinstance(error, psycopg.errors.SerializationFailure):
        return "serialization"
    return "unavailable"


def _one_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
