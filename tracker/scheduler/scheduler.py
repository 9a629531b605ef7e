"""Sends what no message triggers: jobs for the first time, delayed ones, and what resumed jobs held.

One scheduler is active however many run: the one whose database session has the advisory lock. Each
message is sent once, whatever crashes:

1. What is due gets consecutive numbers, and that is committed to the database.
2. It is produced in one Kafka transaction that also commits the *last number as an offset*, for a consumer
   group that exists only for this, on Kafka partition 0 of the first tracking topic. So that offset, the
   ledger, says what was sent.
3. Rows up to the ledger are removed; rows above it are sent by whoever is active next.

A scheduler that has lost its lock and does not know it yet is fenced by the next one's transactional ID.
"""

import random
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial
from threading import Thread

import msgspec
from confluent_kafka import KafkaException

from tracker import failpoints
from tracker.agreement import REMEDY, Known, ledger_disagreement
from tracker.kafka.broker_limits import broker_limits
from tracker.kafka.dead_letters import DeadLetters, dead_letters_for, refusal
from tracker.kafka.destinations import Destinations
from tracker.kafka.errors import (
    BatchGivenUp,
    ClockRefused,
    MessagesRefused,
    OffsetsRefused,
    SlotShared,
    reason_of,
)
from tracker.kafka.password import RotatedPassword
from tracker.kafka.producer import BatchProducer, OutgoingMessage
from tracker.kafka.sent_number import Ledger
from tracker.kafka.stuck import StuckDestinations, Undelivered
from tracker.kafka.topics import admin_client
from tracker.lifeline import ChildStatus, ExitStatus, Lifeline
from tracker.logs import get_logger
from tracker.messages.named_task import task_in
from tracker.messages.pending_task import StatusCheck, start_message
from tracker.messages.refusal import Refusal
from tracker.metrics import (
    DATABASE_RETRIES,
    DEAD_LETTERS,
    HELD_DROPPED,
    PENDING_DROPPED,
    SCHEDULED_SENDS,
)
from tracker.obstacles import Cause, with_stall
from tracker.rate_limited_log import RateLimitedLog
from tracker.scheduler.retention import Retention
from tracker.settings import Settings
from tracker.store.batch_store import POSTPONED_S
from tracker.store.clock import refused_clock
from tracker.store.deployment import claim_deployment
from tracker.store.explain import PASSING
from tracker.store.schedule_store import DroppedWork, HeldSend, ScheduleStore, Send
from tracker.waiting import Patience, Stopping

_ROUND = 5_000  # messages of each kind in a Kafka transaction
_ROUND_BYTES = 32 * 1024 * 1024
_FIRST_RETRY_S = 0.1
_SLOW_S = 2.0
_IDLE_S = 0.5  # how late a delay that has passed is noticed; what is submitted wakes the scheduler at once
_STANDBY_S = 1.0  # how soon another takes over
_REFUSED_S = 60  # a job whose task message Kafka refuses is tried again after this long
_KEEP_LEDGER_S = (
    3600.0  # an offset that nobody commits again expires after a week (offsets.retention.minutes)
)

_RETENTION_ENDS_S = 2.0  # a step takes 20 ms; one that hangs is undone when the process has gone
_SEES_STOP_S = 0.2

_DROPPED = {
    "held_message": (HELD_DROPPED, "held messages dropped"),
    "pending_task": (PENDING_DROPPED, "jobs not sent"),
}
_ASKED_FOR = ("cancelled", "deleted")  # by a user

_HEADERS = msgspec.msgpack.Decoder(list[tuple[str, bytes | None]])  # librdkafka takes no lists for pairs

log = get_logger()


class Scheduler:
    """One scheduler process, active or standing by."""

    def __init__(self, settings: Settings, lifeline: Lifeline) -> None:
        self._settings = settings
        self._lifeline = lifeline
        self._recorder = lifeline.recorder
        self._limited_log = RateLimitedLog()
        self._patience = Patience(lifeline.stopping, settings.shutdown_timeout_s * 0.3)
        self._obstacles = self._patience.obstacles
        self._store = ScheduleStore(settings.database_conninfo)
        self._transactional = settings.delivery == "exactly_once"
        self._admin = admin_client(settings)
        self._destinations = Destinations(
            self._admin,
            [*settings.topics, settings.dead_letter_topic],
            settings.destinations,
            self._wait_for_broker,
        )
        self._check = StatusCheck(
            settings.service_url, settings.status_check_interval_seconds * 1000, settings.topics[0]
        )
        self._ledger = Ledger(settings)
        self._password = RotatedPassword(settings, "client")
        self._retention = Retention(settings, self._recorder, lifeline.stopping)
        self._refused: dict[int, Refusal] = {}  # numbers of what Kafka has refused
        self._dead_letters: DeadLetters | None = None  # not needed yet
        self._database_id = ""
        self._producer = self._new_producer()
        self._active = False
        self._ready = False
        self._working_since_monotonic_s: float | None = None
        self._sent = 0  # everything up to this number was sent
        self._refusal = ""
        self._ledger_kept_monotonic_s = 0.0
        self._last_progress_monotonic_s = time.monotonic()

    def run(self) -> int:
        """Schedule until asked to stop; return the exit status.

        A call that does not return, as librdkafka's do now and then (see `tracker.kafka.producer`), keeps no
        one from leaving: what it was about is settled by the next scheduler, as after a crash.
        """
        self._lifeline.report(self._status)
        ended: Future[int] = Future()
        Thread(target=_run_into, args=[ended, self._schedule], name="schedule", daemon=True).start()
        while not self._lifeline.stopping.is_set() and not ended.done():
            wait([ended], _SEES_STOP_S)
        wait([ended], self._settings.shutdown_timeout_s * 0.6)
        if not ended.done():
            log.warning("the scheduler leaves in the middle of a call that does not return")
            return ExitStatus.DONE
        return ended.result()

    def _schedule(self) -> int:
        retry_s = _FIRST_RETRY_S
        try:
            while not self._lifeline.stopping.is_set():
                try:
                    self._turn()
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
                except (BatchGivenUp, SlotShared) as error:
                    log.warning("the scheduler begins again", reason=str(error))
                    self._active = False
                    retry_s = self._back_off(retry_s, Cause.KAFKA, str(error))
        except Stopping:
            pass
        except OffsetsRefused as refused:
            self._refusal = str(refused)
            log.error("the scheduler refuses to go on", reason=self._refusal)
            return ExitStatus.REFUSED
        finally:
            self._producer.close()
            self._ledger.close()
            self._store.close()
            self._retention.close(_RETENTION_ENDS_S)
        return ExitStatus.DONE

    def _turn(self) -> None:
        """Be active, or stand by: one round, or a wait."""
        self._retention.check()
        self._serve()
        self._producer.serve()
        if self._store.connect():
            self._active, self._database_id = False, ""
            self._retention.forbid()
        if not self._database_id:  # PostgreSQL may be there, and refuse to say
            self._database_id = claim_deployment(self._settings)
            self._producer.close()
            self._producer = self._new_producer()
        if not self._active and not self._take_over():
            self._ready = True
            self._lifeline.stopping.wait(_STANDBY_S)
            return
        self._ready = True
        self._working_since_monotonic_s = self._working_since_monotonic_s or time.monotonic()
        sent = self._round()
        self._working_since_monotonic_s = None
        self._obstacles.clear()
        self._last_progress_monotonic_s = time.monotonic()
        if not sent:
            self._store.wait(_IDLE_S)

    def _take_over(self) -> bool:
        """Become active if no other is: fence a predecessor, and read the ledger."""
        if not self._holds_lock():
            return False
        self._producer.close()  # and not another one: it knows what it has found out about messages refused
        self._producer.start()
        self._sent = self._read_ledger()
        self._active = True
        self._retention.allow()
        log.info("scheduler active", ledger=self._sent)
        return True

    def _holds_lock(self) -> bool:
        # The session may have it already, when only the producer has to be made anew; to ask twice would
        # count it twice, which does no harm: the lock goes with the session.
        return self._store.try_lock()

    def _read_ledger(self) -> int:
        """Return the number up to which everything was sent.

        :raises OffsetsRefused: the ledger and the database do not belong together.
        """
        with self._store.transaction():
            last, sent = self._store.numbers()
        if not self._transactional:
            return sent
        number, metadata = self._ledger.read(self._database_id)
        if number is None and last == sent:
            # Nothing is in doubt. From here on there is a ledger, so that one that is gone is noticed.
            self._ledger.commit(sent, self._database_id)
            return sent
        wrong = ledger_disagreement(number, metadata, Known(last, sent), self._database_id)
        if wrong or number is None:
            raise OffsetsRefused(
                f"the scheduler's ledger (group {self._ledger.group_id!r}): {wrong}; {REMEDY}"
            )
        return number

    def _round(self) -> int:
        """Number what is due, send it, and return how much that was."""
        with self._store.transaction():
            _, known_sent = self._store.numbers()
            if self._sent > known_sent:
                self._store.clear(self._sent)
            self._store.queue(_ROUND)
            dropped = self._store.take_dropped_work(_ROUND)
            sends = self._store.sends(self._sent, 2 * _ROUND, _ROUND_BYTES)
        for each in dropped:
            self._account_for(each)
        failpoints.reach("scheduler-after-database-commit")
        if sends:
            self._publish(self._sendable(sends))
            failpoints.reach("scheduler-after-kafka-commit")
        elif time.monotonic() > self._ledger_kept_monotonic_s + _KEEP_LEDGER_S:
            self._commit([], self._sent)
        return len(sends)

    def _account_for(self, dropped: DroppedWork) -> None:
        metric, event = _DROPPED[dropped.kind]
        self._recorder.add(metric, dropped.amount, reason=dropped.reason)
        self._limited_log.note(
            "info" if dropped.reason in _ASKED_FOR else "warning",
            event,
            dropped.reason,
            lambda: {"job": str(dropped.job)},
            dropped.amount,
        )

    def _sendable(self, sends: list[Send]) -> list[Send]:
        """Put back the jobs that cannot be sent where they are to go; their numbers pass unused.

        In a transaction of its own: brokers are asked about topics before it, and whoever starts a worker, or
        is the next scheduler, waits for the row of the deployment while the numbers are given.
        """
        refused = {
            send.number: why for send in sends if send.start is not None and (why := self._why_not(send))
        }
        if not refused:
            return sends
        for send in sends:
            if send.start is not None and send.number in refused:
                self._limited_log.note(
                    "warning",
                    "jobs cannot be sent, and are tried again",
                    refused[send.number].detail,
                    partial(dict[str, object], job=str(send.start.job)),
                )
        with self._store.transaction():
            for by_kafka, delay_s in ((False, POSTPONED_S), (True, _REFUSED_S)):
                starts = [
                    send.start
                    for send in sends
                    if send.start is not None
                    and send.number in refused
                    and (send.number in self._refused) is by_kafka
                ]
                self._store.postpone(starts, delay_s)
        return [
            Send(send.number, None, delayed=False, held=None) if send.number in refused else send
            for send in sends
        ]

    def _why_not(self, send: Send) -> Refusal | None:
        """Return why something cannot be sent to its topic, or None."""
        return self._destinations.refuse(send.topic) or self._refused.get(send.number)

    def _publish(self, sends: list[Send]) -> None:
        now_ms = time.time_ns() // 1_000_000
        messages, numbers = [], []
        counts = {"first": 0, "delayed": 0, "resumed": 0}
        dead: list[Refusal] = []
        for send in sends:
            if send.start is not None:
                value = start_message(send.start, self._check, now_ms)
                messages.append(
                    OutgoingMessage(send.start.task_pipe, str(send.start.job).encode(), value, None)
                )
                counts["delayed" if send.delayed else "first"] += 1
            elif send.held is not None:
                why = self._why_not(send)
                messages.append(self._dead_letter(send.held, why) if why else _as_it_was(send.held))
                dead += [why] if why else []
                counts["resumed"] += not why
            else:
                continue
            numbers.append(send.number)
        try:
            self._commit(messages, sends[-1].number)
        except MessagesRefused as refused:
            self._note(messages, numbers, refused)
            raise
        self._refused.clear()
        for kind, count in counts.items():
            if count:
                self._recorder.add(SCHEDULED_SENDS, count, kind=kind)
        for why in dead:
            self._recorder.add(DEAD_LETTERS, reason=why.reason.value)

    def _note(self, messages: list[OutgoingMessage], numbers: list[int], refused: MessagesRefused) -> None:
        """Note what was refused, so that it is not sent again: the rest can be."""
        for place, error in refused.why.items():
            topic = messages[place].topic
            if topic == self._settings.dead_letter_topic and self._dead_letters is not None:
                self._dead_letters.were_refused(error)
            else:
                self._refused[numbers[place]] = refusal(topic, error)

    def _dead_letter(self, held: HeldSend, why: Refusal) -> OutgoingMessage:
        if self._dead_letters is None:
            self._dead_letters = dead_letters_for(self._settings, self._admin)
        self._limited_log.note(
            "warning", "a message that was held cannot be sent", why.detail, lambda: task_in(held.value)
        )
        source = list(zip(("topic", "partition", "offset", "timestamp"), held.source, strict=True))
        return self._dead_letters.make(held.key, held.value, _headers(held), why, source)

    def _commit(self, messages: list[OutgoingMessage], number: int) -> None:
        place = self._ledger.place(number, self._database_id)
        self._producer.publish([], [], [], messages, [place], self._ledger.consumer.consumer_group_metadata())
        if not self._transactional:
            self._ledger.commit(number, self._database_id)  # for when transactions are used again
        self._sent = number
        self._ledger_kept_monotonic_s = time.monotonic()

    def _new_producer(self) -> BatchProducer:
        # One transactional ID for each database: those that share a group by mistake do not fence each other.
        return BatchProducer(
            self._settings,
            f"{self._ledger.group_id}-{self._database_id}",
            self._recorder,
            self._wait_to_publish,
            self._destinations.failed,
            Undelivered(StuckDestinations(self._obstacles, self._recorder)),
            partial(broker_limits, self._admin),
        )

    def _back_off(self, seconds: float, cause: Cause, reason: str) -> float:
        """Wait, and return how long to wait the next time. What is over at once is no obstacle."""
        if seconds > _FIRST_RETRY_S:
            self._obstacles.report(cause, reason)
        log.debug("the scheduler tries again", cause=cause, reason=reason)
        self._patience.pause(seconds * random.uniform(0.7, 1.3), self._lifeline.stopping.is_set)
        return min(2 * seconds, 5.0)

    def _wait_to_publish(self, reason: str) -> None:
        self._serve()
        since_s = self._working_since_monotonic_s
        if since_s is None or time.monotonic() - since_s > _SLOW_S:
            self._obstacles.report(Cause.KAFKA, reason)
        self._patience.pause(0.05)

    def _serve(self) -> None:
        self._ledger.serve()
        self._admin.poll(0)
        self._password.look(self._admin)

    def _wait_for_broker(self, error: KafkaException) -> None:
        raise error

    def _status(self) -> ChildStatus:
        since_s = self._working_since_monotonic_s
        known = self._obstacles.now()
        obstacles = with_stall(known, since_s)
        return ChildStatus(
            ready=self._ready and not self._refusal,
            has_work=since_s is not None and not any(each.blocks for each in known),
            last_progress_monotonic_s=self._last_progress_monotonic_s,
            detail=self._refusal
            or "; ".join(map(str, obstacles))
            or ("active" if self._active else "standing by"),
            hangs=self._producer.hangs(),
            obstacles=obstacles,
            stalled_since_monotonic_s=since_s,
        )


def _run_into(ended: Future[int], work: Callable[[], int]) -> None:
    try:
        ended.set_result(work())
    except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
        ended.set_exception(error)


def _headers(held: HeldSend) -> list[tuple[str, bytes | None]] | None:
    return _HEADERS.decode(held.headers) if held.headers else None


def _as_it_was(held: HeldSend) -> OutgoingMessage:
    return OutgoingMessage(held.destination, held.key, held.value, _headers(held))
