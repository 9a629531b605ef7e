"""Sends what no message triggers: first messages of jobs, delayed jobs, held messages of resumed jobs.

Many schedulers may run, but only one is active: the one whose database session has the advisory lock. Each
message is sent once, whatever crashes:

1. What is due gets consecutive numbers, and the database commits these.
2. It is produced in one Kafka transaction that also commits the *last number as an offset*, for a consumer
   group that exists only for this, on Kafka partition 0 of the first tracking topic. So that offset, the last
   sent number, says what was sent.
3. Rows up to the last sent number are removed. The next active scheduler sends the rows above it.

A scheduler that has lost its lock and does not know it yet is fenced by the next one's transactional ID.
"""

import random
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial
from threading import Thread

from confluent_kafka import KafkaException

from tracker import failpoints
from tracker.agreement import REMEDY, Known, sent_number_disagreement
from tracker.kafka.broker_limits import broker_limits
from tracker.kafka.destinations import Destinations
from tracker.kafka.errors import (
    BatchAbandoned,
    ClockRefused,
    MessagesRefused,
    OffsetsRefused,
    SlotShared,
    reason_of,
)
from tracker.kafka.password import RotatedPassword
from tracker.kafka.producer import BatchProducer, OutgoingMessage
from tracker.kafka.sent_number import SentNumber
from tracker.kafka.stuck import StuckDestinations, Undelivered
from tracker.kafka.topics import admin_client
from tracker.lifeline import ChildStatus, ExitStatus, Lifeline
from tracker.logs import get_logger
from tracker.metrics import (
    DATABASE_RETRIES,
    HELD_DROPPED,
    PENDING_DROPPED,
)
from tracker.obstacles import Cause
from tracker.rate_limited_log import RateLimitedLog
from tracker.scheduler.retention import Retention
from tracker.scheduler.sending import OutboxMessages
from tracker.settings import Settings
from tracker.store.clock import refused_clock
from tracker.store.deployment import claim_deployment
from tracker.store.explain import PASSING
from tracker.store.schedule_store import DroppedWork, OutboxEntry, ScheduleStore
from tracker.waiting import StopDeadline, Stopping

_ROUND = 5_000  # messages of each kind in a Kafka transaction
_ROUND_BYTES = 32 * 1024 * 1024
_FIRST_RETRY_S = 0.1
_SLOW_S = 2.0
_IDLE_S = 0.5  # how late the end of a delay is noticed; a submit wakes the scheduler at once
_STANDBY_S = 1.0  # how soon another scheduler takes over
# An offset that is not committed again expires after a week (offsets.retention.minutes).
_KEEP_SENT_NUMBER_S = 3600.0

_RETENTION_CLOSE_S = 2.0  # a step takes 20 ms; one that hangs is rolled back when the process has gone
_CHECK_STOP_S = 0.2

_DROPPED = {
    "held_message": (HELD_DROPPED, "held messages dropped"),
    "pending_task": (PENDING_DROPPED, "jobs not sent"),
}
_BY_USER = ("cancelled", "deleted")  # a user has asked for it

log = get_logger()


class Scheduler:
    """One scheduler process, active or standing by."""

    def __init__(self, settings: Settings, lifeline: Lifeline) -> None:
        self._settings = settings
        self._lifeline = lifeline
        self._recorder = lifeline.recorder
        self._limited_log = RateLimitedLog()
        self._stop_deadline = StopDeadline(lifeline.stopping, settings.shutdown_timeout_s * 0.3)
        self._obstacles = self._stop_deadline.obstacles
        self._store = ScheduleStore(settings.database_conninfo)
        self._transactional = settings.delivery == "exactly_once"
        self._admin = admin_client(settings)
        self._destinations = Destinations(
            self._admin,
            [*settings.topics, settings.dead_letter_topic],
            settings.destinations,
            self._wait_for_broker,
        )
        self._outbox_messages = OutboxMessages(settings, self._store, self._admin, self._destinations)
        self._sent_number = SentNumber(settings)
        self._password = RotatedPassword(settings, "client")
        self._retention = Retention(settings, self._recorder, lifeline.stopping)
        self._database_id = ""
        self._producer = self._new_producer()
        self._active = False
        self._ready = False
        self._work_since_monotonic_s: float | None = None
        self._sent = 0  # everything up to this number was sent
        self._exit_reason = ""
        self._sent_number_kept_monotonic_s = 0.0
        self._last_progress_monotonic_s = time.monotonic()

    def run(self) -> int:
        """Schedule until asked to stop; return the exit status.

        A call that does not return, as sometimes happens with librdkafka (see `tracker.kafka.producer`), does
        not delay the exit. The next scheduler completes what the call was about, as after a crash.
        """
        self._lifeline.report(self._status)
        ended: Future[int] = Future()
        Thread(target=_run_to_result, args=[ended, self._schedule], name="schedule", daemon=True).start()
        while not self._lifeline.stopping.is_set() and not ended.done():
            wait([ended], _CHECK_STOP_S)
        wait([ended], self._settings.shutdown_timeout_s * 0.6)
        if not ended.done():
            log.warning("the scheduler exits although a call has not returned")
            return ExitStatus.DONE
        return ended.result()

    def _schedule(self) -> int:
        retry_s = _FIRST_RETRY_S
        try:
            while not self._lifeline.stopping.is_set():
                try:
                    self._step()
                    retry_s = _FIRST_RETRY_S
                except PASSING as error:
                    self._store.close_if_read_only(error)
                    self._recorder.add(DATABASE_RETRIES, cause="unavailable")
                    retry_s = self._back_off(retry_s, Cause.DATABASE, str(error).partition("\n")[0])
                except KafkaException as error:
                    retry_s = self._back_off(retry_s, Cause.KAFKA, reason_of(error.args[0]))
                except ClockRefused:
                    self._active = False
                    reason = refused_clock(self._settings.database_conninfo())
                    retry_s = self._back_off(max(retry_s, 2 * _FIRST_RETRY_S), Cause.CLOCK, reason)
                except (BatchAbandoned, SlotShared) as error:
                    log.warning("the scheduler starts over", reason=str(error))
                    self._active = False
                    retry_s = self._back_off(retry_s, Cause.KAFKA, str(error))
        except Stopping:
            pass
        except OffsetsRefused as refused:
            self._exit_reason = str(refused)
            log.error("the scheduler refuses to continue", reason=self._exit_reason)
            return ExitStatus.REFUSED
        finally:
            self._producer.close()
            self._sent_number.close()
            self._store.close()
            self._retention.close(_RETENTION_CLOSE_S)
        return ExitStatus.DONE

    def _step(self) -> None:
        """Send one round, or stand by for a moment."""
        self._retention.check()
        self._poll_callbacks()
        self._producer.poll_callbacks()
        if self._store.connect():
            self._active, self._database_id = False, ""
            self._retention.forbid()
        if not self._database_id:  # it was not read yet, or PostgreSQL refused it the last time
            self._database_id = claim_deployment(self._settings)
            self._producer.close()
            self._producer = self._new_producer()
        if not self._active and not self._take_over():
            self._ready = True
            self._lifeline.stopping.wait(_STANDBY_S)
            return
        self._ready = True
        self._work_since_monotonic_s = self._work_since_monotonic_s or time.monotonic()
        sent = self._round()
        self._work_since_monotonic_s = None
        self._obstacles.clear()
        self._last_progress_monotonic_s = time.monotonic()
        if not sent:
            self._store.wait(_IDLE_S)

    def _take_over(self) -> bool:
        """Become active if no other scheduler is: fence a predecessor, and read the last sent number."""
        if not self._holds_lock():
            return False
        self._producer.close()  # not replaced: it keeps what it has found out about refused messages
        self._producer.start()
        self._sent = self._read_sent_number()
        self._active = True
        self._retention.allow()
        log.info("scheduler active", sent_number=self._sent)
        return True

    def _holds_lock(self) -> bool:
        # The session may have the lock already, if only the producer is replaced. PostgreSQL then counts the
        # lock twice, which does no harm, because it ends with the session.
        return self._store.try_lock()

    def _read_sent_number(self) -> int:
        """Return the number up to which everything was sent.

        :raises OffsetsRefused: the last sent number and the database do not belong together.
        """
        with self._store.transaction():
            last, sent = self._store.lock_send_numbers()
        if not self._transactional:
            return sent
        number, metadata = self._sent_number.read(self._database_id)
        if number is None and last == sent:
            # Nothing is in doubt. From now on there is a sent number, so a missing one will be detected.
            self._sent_number.commit(sent, self._database_id)
            return sent
        problem = sent_number_disagreement(number, metadata, Known(last, sent), self._database_id)
        if problem or number is None:
            group_id = self._sent_number.group_id
            raise OffsetsRefused(
                f"the scheduler's last sent number (group {group_id!r}): {problem}; {REMEDY}"
            )
        return number

    def _round(self) -> int:
        """Number what is due and send it; return how many messages that were."""
        with self._store.transaction():
            _, known_sent = self._store.lock_send_numbers()
            if self._sent > known_sent:
                self._store.delete_published(self._sent)
            self._store.enqueue_due(_ROUND)
            dropped = self._store.pop_dropped_work(_ROUND)
            entries = self._store.read_outbox(self._sent, 2 * _ROUND, _ROUND_BYTES)
            has_leftovers = not entries and self._store.has_leftovers()
        if has_leftovers:
            self._retention.remove_leftovers()
        for each in dropped:
            self._record_dropped(each)
        failpoints.reach("scheduler-after-database-commit")
        if entries:
            self._publish(self._outbox_messages.postpone_refused(entries))
            failpoints.reach("scheduler-after-kafka-commit")
        elif time.monotonic() > self._sent_number_kept_monotonic_s + _KEEP_SENT_NUMBER_S:
            self._commit([], self._sent)
        return len(entries)

    def _record_dropped(self, dropped: DroppedWork) -> None:
        metric, event = _DROPPED[dropped.kind]
        self._recorder.add(metric, dropped.amount, reason=dropped.reason)
        self._limited_log.log(
            "info" if dropped.reason in _BY_USER else "warning",
            event,
            dropped.reason,
            lambda: {"job": str(dropped.job)},
            dropped.amount,
        )

    def _publish(self, entries: list[OutboxEntry]) -> None:
        outgoing = self._outbox_messages.make(entries)
        try:
            self._commit(outgoing.messages, entries[-1].send_number)
        except MessagesRefused as refused:
            self._outbox_messages.record_refused(outgoing, refused)
            raise
        self._outbox_messages.clear_refused()
        outgoing.count(self._recorder)

    def _commit(self, messages: list[OutgoingMessage], number: int) -> None:
        offset = self._sent_number.topic_partition(number, self._database_id)
        self._producer.publish(
            [], [], [], messages, [offset], self._sent_number.consumer.consumer_group_metadata()
        )
        if not self._transactional:
            self._sent_number.commit(number, self._database_id)  # in case transactions are used again
        self._sent = number
        self._sent_number_kept_monotonic_s = time.monotonic()

    def _new_producer(self) -> BatchProducer:
        # One transactional ID for each database, so that two that share a group by mistake do not fence each
        # other.
        return BatchProducer(
            self._settings,
            f"{self._sent_number.group_id}-{self._database_id}",
            self._recorder,
            self._wait_to_publish,
            self._destinations.record_failure,
            Undelivered(StuckDestinations(self._obstacles, self._recorder)),
            partial(broker_limits, self._admin),
        )

    def _back_off(self, seconds: float, cause: Cause, reason: str) -> float:
        """Wait, and return how long to wait the next time. The first failure is not an obstacle yet."""
        if seconds > _FIRST_RETRY_S:
            self._obstacles.report(cause, reason)
        log.debug("the scheduler tries again", cause=cause, reason=reason)
        self._stop_deadline.pause(seconds * random.uniform(0.7, 1.3), self._lifeline.stopping.is_set)
        return min(2 * seconds, 5.0)

    def _wait_to_publish(self, reason: str) -> None:
        self._poll_callbacks()
        since_s = self._work_since_monotonic_s
        if since_s is None or time.monotonic() - since_s > _SLOW_S:
            self._obstacles.report(Cause.KAFKA, reason)
        self._stop_deadline.pause(0.05)

    def _poll_callbacks(self) -> None:
        self._sent_number.poll_callbacks()
        self._admin.poll(0)
        self._password.update(self._admin)

    def _wait_for_broker(self, error: KafkaException) -> None:
        raise error

    def _status(self) -> ChildStatus:
        since_s = self._work_since_monotonic_s
        obstacles = self._obstacles.now_or_stall(since_s)
        is_blocked = any(each.blocks and each.cause is not Cause.UNKNOWN for each in obstacles)
        return ChildStatus(
            ready=self._ready and not self._exit_reason,
            has_work=since_s is not None and not is_blocked,
            last_progress_monotonic_s=self._last_progress_monotonic_s,
            detail=self._exit_reason
            or "; ".join(map(str, obstacles))
            or ("active" if self._active else "standing by"),
            hangs=self._producer.hangs(),
            obstacles=obstacles,
            stalled_since_monotonic_s=since_s,
        )


def _run_to_result(ended: Future[int], work: Callable[[], int]) -> None:
    try:
        ended.set_result(work())
    except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
        ended.set_exception(error)
