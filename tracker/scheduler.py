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

import msgspec
import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition

from tracker import failpoints
from tracker.errors import DatabaseUnavailable
from tracker.kafka.destinations import Destinations
from tracker.kafka.errors import BatchGivenUp, OffsetsRefused, SlotShared
from tracker.kafka.producer import BatchProducer, OutgoingMessage
from tracker.lifeline import ChildStatus, ExitStatus, Lifeline
from tracker.logs import get_logger, kafka_logger
from tracker.messages.release import StatusCheck, start_message
from tracker.metrics import DATABASE_RETRIES, HELD_DROPPED, SCHEDULED_SENDS
from tracker.retention import Retention
from tracker.settings import Settings
from tracker.store.deployment import claim_deployment
from tracker.store.schedule_store import ScheduleStore, Send
from tracker.waiting import Patience, Stopping

_ROUND = 5_000  # messages of each kind in a Kafka transaction
_ROUND_BYTES = 32 * 1024 * 1024
_IDLE_S = 0.5  # how late a delay that has passed is noticed; what is submitted wakes the scheduler at once
_STANDBY_S = 1.0  # how soon another takes over
_CALL_TIMEOUT_S = 10.0
_KEEP_LEDGER_S = (
    3600.0  # an offset that nobody commits again expires after a week (offsets.retention.minutes)
)

_RETENTION_ENDS_S = 2.0  # a step takes 20 ms; one that hangs is undone when the process has gone

_HEADERS = msgspec.msgpack.Decoder(list[tuple[str, bytes | None]])  # librdkafka takes no lists for pairs

log = get_logger()


def run(settings: Settings, lifeline: Lifeline) -> int:
    """Schedule until `lifeline.stopping` is set; return the exit status (`tracker.lifeline.ExitStatus`)."""
    failpoints.load()
    return Scheduler(settings, lifeline).run()


class Scheduler:
    """One scheduler process, active or standing by."""

    def __init__(self, settings: Settings, lifeline: Lifeline) -> None:
        self._settings = settings
        self._lifeline = lifeline
        self._recorder = lifeline.recorder
        self._patience = Patience(lifeline.stopping, settings.shutdown_timeout_s * 0.3)
        self._store = ScheduleStore(settings.database_conninfo())
        self._group_id = f"{settings.group_id}-scheduler"
        self._ledger_place = TopicPartition(settings.topics[0], 0)
        self._transactional = settings.delivery == "exactly_once"
        self._destinations = Destinations(
            settings.kafka_client_properties(),
            [*settings.topics, settings.dead_letter_topic],
            settings.destinations,
            self._wait_for_broker,
        )
        self._check = StatusCheck(
            settings.service_url, settings.status_check_interval_seconds * 1000, settings.topics[0]
        )
        # A consumer that never subscribes: the broker takes its group metadata for the ledger's commits.
        self._consumer = Consumer(
            {
                **settings.consumer_properties(),
                "group.id": self._group_id,
                "enable.auto.commit": "false",
                "isolation.level": "read_committed",  # waits until an open transaction has ended
            },
            logger=kafka_logger(),
        )
        self._producer = self._new_producer()
        self._retention = Retention(settings, self._recorder, lifeline.stopping)
        self._database_id = ""
        self._active = False
        self._ready = False
        self._working = False
        self._ledger = 0  # everything up to this number was sent
        self._ledger_kept_monotonic_s = 0.0
        self._last_progress_monotonic_s = time.monotonic()

    def run(self) -> int:
        """Schedule until asked to stop; return the exit status."""
        self._lifeline.report(self._status)
        retry_s = 0.1
        try:
            while not self._lifeline.stopping.is_set():
                try:
                    self._turn()
                    retry_s = 0.1
                except (
                    psycopg.OperationalError,
                    DatabaseUnavailable,
                    psycopg.errors.ReadOnlySqlTransaction,
                ) as error:
                    self._recorder.add(DATABASE_RETRIES, cause="unavailable")
                    log.warning("the scheduler waits for PostgreSQL", error=str(error).partition("\n")[0])
                    retry_s = self._back_off(retry_s, "PostgreSQL")
                except KafkaException as error:
                    log.warning("the scheduler waits for Kafka", error=error.args[0].str())
                    retry_s = self._back_off(retry_s, "Kafka")
                except (BatchGivenUp, SlotShared) as error:
                    log.warning("the scheduler begins again", reason=str(error))
                    self._active = False
                    retry_s = self._back_off(retry_s, "Kafka")
        except Stopping:
            pass
        except OffsetsRefused as refused:
            log.error("the scheduler refuses to go on", reason=str(refused))
            return ExitStatus.REFUSED
        finally:
            self._producer.close()
            self._consumer.close()
            self._store.close()
            self._retention.close(_RETENTION_ENDS_S)
        return ExitStatus.DONE

    def _turn(self) -> None:
        """Be active, or stand by: one round, or a wait."""
        self._retention.check()
        if self._store.connect():
            self._active = False
            self._retention.forbid()
            self._database_id = claim_deployment(self._settings)
        if not self._active and not self._take_over():
            self._ready = True
            self._lifeline.stopping.wait(_STANDBY_S)
            return
        self._patience.waiting_for = ""
        self._ready = True
        self._working = True
        sent = self._round()
        self._working = False
        self._last_progress_monotonic_s = time.monotonic()
        if not sent:
            self._store.wait(_IDLE_S)

    def _take_over(self) -> bool:
        """Become active if no other is: fence a predecessor, and read the ledger."""
        if not self._holds_lock():
            return False
        self._producer.close()
        self._producer = self._new_producer()
        self._producer.start()
        self._ledger = self._read_ledger()
        self._active = True
        self._retention.allow()
        log.info("scheduler active", ledger=self._ledger)
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
        [committed] = self._consumer.committed([self._ledger_place], timeout=_CALL_TIMEOUT_S)
        if committed.error is not None:
            raise KafkaException(committed.error)
        if committed.offset < 0:
            if sent > 0 and last > sent:
                raise OffsetsRefused(
                    f"the offset of group {self._group_id!r}, by which one knows what was sent, is gone:"
                    f" numbers {sent + 1} to {last} may or may not have been sent"
                )
            return sent
        if committed.metadata and committed.metadata != self._database_id:
            raise OffsetsRefused(
                f"the offset of group {self._group_id!r} was committed with another database"
                f" ({committed.metadata[:100]!r}, not {self._database_id!r})"
            )
        if not sent <= committed.offset <= last:
            raise OffsetsRefused(
                f"the offset of group {self._group_id!r} says that the scheduler has sent number"
                f" {committed.offset}, but the database has {sent} to {last}: it is an earlier copy, or"
                " the offset was moved"
            )
        return committed.offset

    def _round(self) -> int:
        """Number what is due, send it, and return how much that was."""
        with self._store.transaction():
            _, known_sent = self._store.numbers()
            if self._ledger > known_sent:
                self._store.clear(self._ledger)
            dropped = self._store.queue(_ROUND)
            sends = self._sendable(self._store.sends(self._ledger, 2 * _ROUND, _ROUND_BYTES))
        if dropped:
            self._recorder.add(HELD_DROPPED, dropped)
        failpoints.reach("scheduler-after-database-commit")
        if sends:
            self._publish(sends)
            failpoints.reach("scheduler-after-kafka-commit")
        elif self._ledger and time.monotonic() > self._ledger_kept_monotonic_s + _KEEP_LEDGER_S:
            self._commit([], self._ledger)
        return len(sends)

    def _sendable(self, sends: list[Send]) -> list[Send]:
        """Put back the jobs whose topic may not, or cannot, be sent to; their numbers pass unused."""
        refused = {
            start.task_pipe: why
            for start in (send.start for send in sends)
            if start is not None and (why := self._destinations.refuse(start.task_pipe)) is not None
        }
        if not refused:
            return sends
        for why in refused.values():
            log.warning("jobs cannot be sent, and are tried again", reason=why.detail)
        postponed = [
            send.start for send in sends if send.start is not None and send.start.task_pipe in refused
        ]
        self._store.postpone(postponed)
        return [
            Send(send.number, None, delayed=False, held=None)
            if send.start is not None and send.start.task_pipe in refused
            else send
            for send in sends
        ]

    def _publish(self, sends: list[Send]) -> None:
        now_ms = time.time_ns() // 1_000_000
        messages = []
        counts = {"first": 0, "delayed": 0, "resumed": 0}
        for send in sends:
            if send.start is not None:
                value = start_message(send.start, self._check, now_ms)
                messages.append(
                    OutgoingMessage(send.start.task_pipe, str(send.start.job).encode(), value, None)
                )
                counts["delayed" if send.delayed else "first"] += 1
            elif send.held is not None:
                headers = _HEADERS.decode(send.held.headers) if send.held.headers else None
                messages.append(
                    OutgoingMessage(send.held.destination, send.held.key, send.held.value, headers)
                )
                counts["resumed"] += 1
        self._commit(messages, sends[-1].number)
        for kind, count in counts.items():
            if count:
                self._recorder.add(SCHEDULED_SENDS, count, kind=kind)

    def _commit(self, messages: list[OutgoingMessage], number: int) -> None:
        place = TopicPartition(self._ledger_place.topic, 0, number, self._database_id)
        self._producer.publish([], [], [], messages, [place], self._consumer.consumer_group_metadata())
        self._ledger = number
        self._ledger_kept_monotonic_s = time.monotonic()

    def _new_producer(self) -> BatchProducer:
        return BatchProducer(
            self._settings,
            self._group_id,
            self._recorder,
            lambda: self._patience.pause(0.05, "Kafka"),
            lambda topic, _error: self._destinations.forget(topic),
        )

    def _back_off(self, seconds: float, waiting_for: str) -> float:
        self._working = False
        self._patience.pause(seconds * random.uniform(0.7, 1.3), waiting_for, self._lifeline.stopping.is_set)
        return min(2 * seconds, 5.0)

    def _wait_for_broker(self, error: KafkaException) -> None:
        raise error

    def _status(self) -> ChildStatus:
        waiting_for = self._patience.waiting_for
        return ChildStatus(
            ready=self._ready,
            has_work=self._working and not waiting_for,
            last_progress_monotonic_s=self._last_progress_monotonic_s,
            detail=f"waiting for {waiting_for}"
            if waiting_for
            else "active"
            if self._active
            else "standing by",
            hangs=self._producer.hangs(),
        )
