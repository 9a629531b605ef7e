"""Batches in: the consumer of a worker, and what becomes of its work when the group rebalances."""

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from operator import methodcaller
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from tracker.agreement import REMEDY
from tracker.kafka.batch import AssignedOffset, Batch, Epoch, OffsetRange
from tracker.kafka.broker_limits import NO_LIMITS, BrokerLimits, said_to_consumer
from tracker.kafka.errors import ConsumerLost, OffsetsRefused, SlotShared
from tracker.kafka.explain import kafka_errors
from tracker.kafka.lag import Lag
from tracker.kafka.membership import is_classic, is_member
from tracker.kafka.password import RotatedPassword
from tracker.kafka.properties import consumer_properties
from tracker.kafka.unreceivable import Stuck, UnreceivableRecords
from tracker.kafka_partition import KafkaPartition
from tracker.logs import get_logger, kafka_logger
from tracker.messages.dead_letter import UNREADABLE_HEADERS
from tracker.messages.skipped_records import SkippedRecords
from tracker.metrics import LAG, LAG_SECONDS, REBALANCES, Recorder
from tracker.settings import Settings

_CHUNK = 1_000  # records taken at once; between chunks their bytes are added up
_CALL_TIMEOUT_S = 10.0
# Where a header's name is not UTF-8, confluent_kafka sets an error and returns a result all the same. Python
# does not look at that in calls that it has made often, and the error comes up at the next statement. By
# methodcaller it always looks, and makes a SystemError of it.
_read_headers = methodcaller("headers")
_NOT_ALLOWED = (
    KafkaError.INVALID_SESSION_TIMEOUT,
    KafkaError.GROUP_MAX_SIZE_REACHED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError._AUTHENTICATION,
)
_NOT_ALLOWED_COUNTS_S = 6.0  # it is tried again, and refused, every 2 to 3 s
_FENCED = (KafkaError.FENCED_INSTANCE_ID, KafkaError._FENCED)

log = get_logger()


def settle_headers(records: Sequence[Message]) -> None:
    """Replace headers that cannot be read by one that says so.

    Once only, since a second look at them finds none at all, without an error. Whoever needs the headers of a
    record later gets what is read here.
    """
    for record in records:
        try:
            _read_headers(record)
        except SystemError:
            record.set_headers(UNREADABLE_HEADERS)  # type: ignore[arg-type]


class BatchConsumer:
    """Polls batches. All calls come from one thread, and the callbacks of a rebalance run within `poll`.

    `finish_batches(timeout_s)` is called before Kafka partitions are given up: it returns once every batch
    polled so far is published, or that time has passed. `wait_for_broker(error)` waits a moment before
    a call is made again that needs a broker and found none; it raises where the process is to stop.
    `topic_ids(topics)` asks the broker for the IDs of topics.
    """

    def __init__(
        self,
        settings: Settings,
        slot: int,
        finish_batches: Callable[[float], None],
        wait_for_broker: Callable[[KafkaException], None],
        topic_ids: Callable[[list[str]], dict[str, str]],
        recorder: Recorder,
    ) -> None:
        self._settings = settings
        self._slot = slot
        self._finish_batches = finish_batches
        self._wait_for_broker = wait_for_broker
        self._topic_ids = topic_ids
        self._recorder = recorder
        self._password = RotatedPassword(settings, "consumer")
        self.unreceivable = UnreceivableRecords()
        self._limits = NO_LIMITS
        self._consumer: Consumer  # from `connect` on
        self._positions: dict[
            KafkaPartition, int
        ] = {}  # of the assigned Kafka partitions: how far their batches go
        self._assigned_offsets: dict[KafkaPartition, AssignedOffset] = {}  # see Batch.assigned_offsets
        self._lag = Lag()
        self._gathered: list[Message] = []
        self._paused = False
        self._finish_timeout_s = _CALL_TIMEOUT_S
        self._is_subscribed = False
        self._is_assigned = False
        self._has_rejoined = not is_classic(settings)  # which only a static member needs to
        self.epoch = Epoch()
        self.joined = False
        self._not_allowed = (-math.inf, "")
        self._is_quiet_member = self._has_rejoined  # which librdkafka may not tell that it has joined

    def not_allowed(self) -> str:
        """Return what the tracker has lately not been allowed to do; nothing, if that is over."""
        when, reason = self._not_allowed
        return reason if time.monotonic() - when < _NOT_ALLOWED_COUNTS_S else ""

    @property
    def assigned(self) -> int:
        """How many Kafka partitions are assigned; any thread may ask."""
        return len(self._positions)

    def connect(self, limits: BrokerLimits) -> None:
        """Make the client, with what the brokers allow. Call it first, and once.

        :raises TrackerError: librdkafka does not take its properties together.
        """
        self._limits = limits
        properties: dict[str, Any] = {
            **consumer_properties(self._settings, self._slot, limits),
            "error_cb": self.unreceivable.note_error,
        }
        with kafka_errors("the consumer"):
            self._consumer = Consumer(properties, logger=kafka_logger())

    def subscribe(self) -> None:
        """Join the group; Kafka partitions are assigned within later polls."""
        self._is_subscribed = True
        self._consumer.subscribe(
            list(self._settings.topics),
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def _rejoin(self) -> None:
        """Leave the group and join it again, once after the start.

        A member that takes its dead predecessor's place is given what that one had, without a rebalance. If
        that one died in the middle of a rebalance, between giving up a Kafka partition and telling so, that
        Kafka partition would be nobody's until the next rebalance, which may never come.
        """
        self._has_rejoined = True
        self._is_assigned = False
        self._leave(time.monotonic() + _CALL_TIMEOUT_S)
        self.subscribe()

    def _leave(self, deadline_monotonic_s: float) -> None:
        """Leave the group. A static member leaves only by unsubscribing; closing alone means "back soon".

        The group is left once what is assigned has been given up, in callbacks of polls.
        """
        self._consumer.unsubscribe()
        while self._positions and time.monotonic() < deadline_monotonic_s:
            self._consumer.poll(0.05)
        self._consumer.poll(0.05)

    def poll(self, timeout_s: float, is_ripe: Callable[[float], bool]) -> Batch | None:
        """Wait for a record, and return it with all that is there.

        Once nothing more is there, `is_ripe` is asked, with the seconds since the first record, whether the
        batch is to end; it may wait a moment for more. None: nothing came, or what came was given up.

        :raises OffsetsRefused: the committed offset is not in the log any more.
        :raises SlotShared: another process has this member's ID.
        """
        self._password.look(self._consumer)
        first = self._consumer.poll(timeout_s)
        if self._is_quiet_member and not self.joined:
            self.joined = is_member(self._consumer.consumer_group_metadata())
        if self._is_assigned and not self._has_rejoined:
            self._rejoin()  # what came before that comes again
            return None
        if first is None or self.epoch.abandoned:
            return None
        self._gathered = records = [first]
        size_bytes = len(first)
        began_monotonic_s = time.monotonic()
        limit, limit_bytes = self._settings.batch_size, self._settings.batch_bytes
        while len(records) < limit and size_bytes < limit_bytes and not self.epoch.abandoned:
            more = self._consumer.consume(min(limit - len(records), _CHUNK), 0)
            if not more and is_ripe(time.monotonic() - began_monotonic_s):
                break
            records += more
            size_bytes += sum(map(len, more))
        return self._batch(records, size_bytes)

    def _batch(self, records: list[Message], size_bytes: int) -> Batch | None:
        self._gathered = []
        if any(record.error() is not None for record in records):
            for record in records:
                self._report(record)
            records = [record for record in records if record.error() is None]
        settle_headers(records)
        ranges: dict[KafkaPartition, OffsetRange] = {}
        for position in self._consumer.position(_topic_partitions(list(self._positions))):
            key = position.topic, position.partition
            if position.offset > self._positions[key]:
                ranges[key] = OffsetRange(self._positions[key], position.offset)
                self._positions[key] = position.offset
        self.unreceivable.update(self._positions)
        # Where the position has moved there is a batch, even if only an error came with it: the database
        # would take the next one for proof that it was set back.
        if self.epoch.abandoned or not (records or ranges):
            return None
        if self._lag.wants_sample:
            self._lag.sample(records, ranges, time.time())
        assigned_offsets = {
            key: self._assigned_offsets.pop(key) for key in ranges if key in self._assigned_offsets
        }
        metadata = self._consumer.consumer_group_metadata()
        return Batch(records, ranges, self.epoch, metadata, size_bytes, assigned_offsets)

    def pass_over(self) -> Batch | None:
        """Return a batch without records, if markers of transactions or aborted records have been passed.

        librdkafka hands none of them over, but moves the position past a marker within a poll (2.16; a marker
        ends each transaction, and nothing undecided is passed). Call it when no record comes: a batch with
        records moves past what lies before and after them anyway.
        """
        return None if self.epoch.abandoned else self._batch([], 0)

    def positions(self) -> dict[KafkaPartition, int]:
        """Return, for each assigned Kafka partition, how far its batches go."""
        return dict(self._positions)

    def bar(self, key: KafkaPartition, stuck: Stuck) -> None:
        """Do not fetch from a Kafka partition: while the consumer cannot, it gets nothing of its broker."""
        if self._positions.get(key) == stuck.offset:
            self.unreceivable.found[key] = stuck
            self.unreceivable.barred.add(key)
            self._consumer.pause(_topic_partitions([key]))

    def let_go(self, key: KafkaPartition, stuck: Stuck) -> None:
        """Fetch again from a Kafka partition that is not stuck any more where it was."""
        if self.unreceivable.found.get(key) == stuck:
            self._fetch_again(key)

    def step_over(self, skipped: SkippedRecords) -> Batch | None:
        """Return a batch without records that goes past what cannot be received."""
        if self.epoch.abandoned:
            return None
        key = skipped.topic, skipped.kafka_partition
        self._seek(TopicPartition(*key, skipped.next_offset))
        self._fetch_again(key)
        ranges = {key: OffsetRange(self._positions[key], skipped.next_offset)}
        self._positions[key] = skipped.next_offset
        assigned_offsets = {key: self._assigned_offsets.pop(key)} if key in self._assigned_offsets else {}
        return Batch(
            [], ranges, self.epoch, self._consumer.consumer_group_metadata(), 0, assigned_offsets, skipped
        )

    def _fetch_again(self, key: KafkaPartition) -> None:
        if key in self.unreceivable.barred and not self._paused:
            self._consumer.resume(_topic_partitions([key]))
        self.unreceivable.forget(key)

    def _report(self, record: Message) -> None:
        error = record.error()
        if error is None or self.unreceivable.note(record):
            return
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise OffsetsRefused(
                f"the group {self._settings.group_id!r} has a committed offset that its topic does not have"
                f" (any more): {error.str()}; {REMEDY}"
            )
        if error.code() in _FENCED:
            raise SlotShared(f"another process has this worker's member ID: {error.str()}")
        reason = said_to_consumer(self._settings, self._limits, error)
        if error.fatal() or error.code() == KafkaError._FATAL:
            # Mostly fenced by itself: brokers that were away may take a member's own joining for another's.
            raise ConsumerLost(reason)
        if error.code() in _NOT_ALLOWED:
            self._not_allowed = time.monotonic(), reason
        log.warning("Kafka reports an error to the consumer", error=reason, code=error.name())

    def poll_paused(self, timeout_s: float) -> None:
        """Stay in the group without taking records, while batches cannot go on."""
        if not self._paused:
            self._consumer.pause(self._consumer.assignment())
            self._paused = True
        self._password.look(self._consumer)
        record = self._consumer.poll(timeout_s)
        if record is not None:
            if record.error() is None:
                self.epoch.abandoned = True  # polled before the pause took hold: it comes again
            else:
                self._report(record)

    def resume(self) -> None:
        """Take records again after `poll_paused`."""
        if self._paused:
            barred = self.unreceivable.barred
            self._consumer.resume(
                [each for each in self._consumer.assignment() if (each.topic, each.partition) not in barred]
            )
            self._paused = False

    def rewind(self) -> None:
        """Go back to the committed offsets, and begin a new epoch. To be called while no batch is under way.

        :raises KafkaException: no broker has answered; to be called again.
        """
        self.epoch = Epoch()
        if not self._positions:
            return
        self._let_all_go()
        for start in self._starts(list(self._positions)):
            self._seek(start)

    def _seek(self, start: TopicPartition) -> None:
        deadline = time.monotonic() + _CALL_TIMEOUT_S
        while True:
            try:
                self._consumer.seek(start)
                return
            except KafkaException as error:
                # A Kafka partition whose fetching is just being set up cannot be sought in.
                if error.args[0].code() != KafkaError._STATE or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def commit(self, offsets: dict[KafkaPartition, int], metadata: str) -> None:
        """Commit offsets without a transaction.

        :raises KafkaException: they are not committed.
        """
        self._consumer.commit(
            offsets=[TopicPartition(*key, offset, metadata) for key, offset in offsets.items()],
            asynchronous=False,
        )

    def measure_lag(
        self,
        committed: Mapping[KafkaPartition, int],
        ends_of: Callable[[list[KafkaPartition]], Mapping[KafkaPartition, int]],
    ) -> None:
        """Record how far the assigned Kafka partitions are behind.

        `committed`: what this worker has committed. `ends_of(keys)` returns where they end, once it knows;
        it is asked while they are paused, because the consumer fetches nothing then and does not learn it.
        """
        ends = ends_of(list(self._positions)) if self._paused else {}
        for key in self._positions:
            _, end = self._consumer.get_watermark_offsets(TopicPartition(*key), cached=True)
            end = max(end, ends.get(key, end))
            if end >= 0:
                records, age_s = self._lag.measure(key, committed.get(key, 0), end, time.time())
                self._recorder.set(LAG, records, topic=key[0], kafka_partition=str(key[1]))
                self._recorder.set(LAG_SECONDS, age_s, topic=key[0], kafka_partition=str(key[1]))

    def close(self, timeout_s: float) -> None:
        """Leave the group, within this time; batches that are worked on are not waited for."""
        deadline = time.monotonic() + timeout_s
        self._finish_timeout_s = 0.0
        if not self._is_subscribed:
            return
        try:
            # One that is just joining could not leave, and would keep its place until its session ends.
            while not (self._is_assigned or self.joined) and time.monotonic() < deadline:
                self._consumer.poll(0.05)
            self._leave(deadline)
        except KafkaException as error:
            log.warning("could not leave the group cleanly", error=str(error))
        # It may wait for a broker that is away, and has no time limit of its own.
        closing = threading.Thread(target=self._consumer.close, name="close", daemon=True)
        closing.start()
        closing.join(max(1.0, deadline - time.monotonic()))

    # Rebalances. A rebalance is in steps (cooperative): these are the Kafka partitions that come and go.

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        keys = [(partition.topic, partition.partition) for partition in partitions]
        while True:
            try:
                starts = self._starts(keys)
                break
            except KafkaException as error:
                self._wait_for_broker(error)
        consumer.incremental_assign(starts)
        if self._paused:
            consumer.pause(starts)
        self._is_assigned = True
        self.joined = self._has_rejoined
        self._recorder.add(REBALANCES, kind="assigned")
        log.info("Kafka partitions assigned", added=len(keys), assigned=len(self._positions))

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._finish_batches(self._finish_timeout_s)
        self._forget(partitions)
        if self._gathered:
            self.epoch.abandoned = True  # records of what is revoked may be among them
        consumer.incremental_unassign(partitions)
        self._recorder.add(REBALANCES, kind="revoked")
        log.info("Kafka partitions revoked", removed=len(partitions), assigned=len(self._positions))

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.epoch.abandoned = True
        self._forget(partitions)
        consumer.incremental_unassign(partitions)
        self._recorder.add(REBALANCES, kind="lost")
        log.warning("Kafka partitions lost: the group continued without this worker", removed=len(partitions))

    def _let_all_go(self) -> None:
        """Fetch again from what is barred: what it was barred for shows again."""
        if self.unreceivable.barred and not self._paused:
            self._consumer.resume(_topic_partitions(list(self.unreceivable.barred)))
        self.unreceivable.barred.clear()
        self.unreceivable.found.clear()

    def _forget(self, partitions: Sequence[TopicPartition]) -> None:
        if self._paused or self.unreceivable.barred:
            # librdkafka remembers the pause beyond the assignment: they would come back paused, for good.
            self._consumer.resume(list(partitions))
        for partition in partitions:
            key = partition.topic, partition.partition
            self._positions.pop(key, None)
            self._assigned_offsets.pop(key, None)
            self._lag.forget(key)
            self.unreceivable.forget(key)
            for metric in (LAG, LAG_SECONDS):
                self._recorder.forget(metric, topic=key[0], kafka_partition=str(key[1]))

    def _starts(self, keys: list[KafkaPartition]) -> list[TopicPartition]:
        """Look up where to start, and note it: at the committed offset, or else at the beginning.

        `committed` waits until an open transaction of a predecessor has ended (read_committed).
        """
        starts = []
        ids = self._topic_ids(sorted({topic for topic, _ in keys}))
        for committed in self._consumer.committed(_topic_partitions(keys), timeout=_CALL_TIMEOUT_S):
            key = committed.topic, committed.partition
            offset, metadata = committed.offset, committed.metadata or ""
            if committed.error is not None:
                raise KafkaException(committed.error)
            if offset < 0:
                start, _ = self._consumer.get_watermark_offsets(
                    TopicPartition(*key), timeout=_CALL_TIMEOUT_S, cached=False
                )
            else:
                start = offset
            self._assigned_offsets[key] = AssignedOffset(
                offset if offset >= 0 else None, metadata, ids.get(key[0], "")
            )
            self._positions[key] = start
            self._lag.begin(key, start)
            starts.append(TopicPartition(*key, start if start >= 0 else OFFSET_BEGINNING))
        return starts


def _topic_partitions(keys: list[KafkaPartition]) -> list[TopicPartition]:
    return [TopicPartition(topic, kafka_partition) for topic, kafka_partition in keys]
