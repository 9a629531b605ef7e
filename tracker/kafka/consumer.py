"""Batches in: the consumer of a worker, and what happens to its batches when the group rebalances."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from tracker.kafka.assignment import Assignment, StartOffset, read_start_offsets, topic_partitions
from tracker.kafka.batch import Batch, Epoch, OffsetRange, offsets_to_commit
from tracker.kafka.broker_limits import BrokerLimits
from tracker.kafka.consumer_errors import ConsumerErrors
from tracker.kafka.explain import kafka_errors
from tracker.kafka.headers import replace_unreadable_headers
from tracker.kafka.membership import is_classic, is_member
from tracker.kafka.password import RotatedPassword
from tracker.kafka.properties import consumer_properties
from tracker.kafka.unreceivable import Stuck, UnreceivableRecords
from tracker.kafka_partition import KafkaPartition
from tracker.logs import get_logger, kafka_logger
from tracker.messages.skipped_records import SkippedRecords
from tracker.metrics import REBALANCES, Recorder
from tracker.settings import Settings

_CHUNK = 1_000  # records taken at once; between chunks their bytes are added up
_CALL_TIMEOUT_S = 10.0

log = get_logger()


class BatchConsumer:
    """Polls batches. All calls come from one thread, and the callbacks of a rebalance run within `poll`.

    `finish_batches(timeout_s)` is called before Kafka partitions are given back. It returns when every batch
    polled so far is published, or when that time has passed. `wait_for_broker(error)` is called after a call
    that needs a broker has found none. It waits a moment before the call is repeated, and raises if the
    process is to stop. `topic_ids(topics)` asks a broker for the IDs of topics.

    `joined`: whether the worker is a member of the group; any thread may read it.
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
        self._consumer: Consumer  # from `connect` on
        self._assignment = Assignment(recorder)
        self.unreceivable = UnreceivableRecords()
        self._errors = ConsumerErrors(settings, self.unreceivable)
        self._gathered: list[Message] = []
        self._paused = False  # all Kafka partitions, by `poll_paused`
        self._finish_timeout_s = _CALL_TIMEOUT_S
        self._is_subscribed = False
        self._is_assigned = False
        self._has_rejoined = not is_classic(settings)  # only a static member needs to rejoin
        self._joins_silently = self._has_rejoined  # librdkafka may not say that it has joined
        self.epoch = Epoch()
        self.joined = False

    def denial(self) -> str:
        """Return what Kafka has not allowed the tracker in the last seconds; empty: nothing."""
        return self._errors.denial()

    @property
    def assigned(self) -> int:
        """How many Kafka partitions are assigned; any thread may ask."""
        return len(self._assignment)

    def positions(self) -> dict[KafkaPartition, int]:
        """Return, for each assigned Kafka partition, how far its batches go."""
        return dict(self._assignment.positions)

    # Joining and leaving the group

    def connect(self, limits: BrokerLimits) -> None:
        """Make the client, with what the brokers allow. Call it first, and once.

        :raises TrackerError: librdkafka refuses the combination of its properties.
        """
        self._errors.limits = limits
        properties: dict[str, Any] = {
            **consumer_properties(self._settings, self._slot, limits),
            "error_cb": self.unreceivable.on_error,
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

        A member that replaces its dead predecessor is assigned what that one had, without a rebalance. The
        predecessor may have died in the middle of a rebalance, after it gave back a Kafka partition and
        before it said so. That Kafka partition would then be nobody's until the next rebalance, which may
        never come.
        """
        self._has_rejoined = True
        self._is_assigned = False
        self._leave(time.monotonic() + _CALL_TIMEOUT_S)
        self.subscribe()

    def _leave(self, deadline_monotonic_s: float) -> None:
        """Leave the group. A static member leaves only by unsubscribing; closing alone means "back soon".

        The member has left when its Kafka partitions have been given back, in callbacks of polls.
        """
        self._consumer.unsubscribe()
        while self._assignment and time.monotonic() < deadline_monotonic_s:
            self._consumer.poll(0.05)
        self._consumer.poll(0.05)

    def close(self, timeout_s: float) -> None:
        """Leave the group, within this time. It does not wait for batches in flight."""
        deadline = time.monotonic() + timeout_s
        self._finish_timeout_s = 0.0
        if not self._is_subscribed:
            return
        try:
            # A member that is still joining cannot leave: it would stay one until its session ends.
            while not (self._is_assigned or self.joined) and time.monotonic() < deadline:
                self._consumer.poll(0.05)
            self._leave(deadline)
        except KafkaException as error:
            log.warning("could not leave the group cleanly", error=str(error))
        # This call may wait for a broker that is away, and has no time limit of its own.
        closing = threading.Thread(target=self._consumer.close, name="close", daemon=True)
        closing.start()
        closing.join(max(1.0, deadline - time.monotonic()))

    # Polling

    def poll(self, timeout_s: float, may_end: Callable[[float], bool]) -> Batch | None:
        """Wait for a record, and return it in a batch with all that are there.

        When no more are there, `may_end` is called with the seconds since the first record. It returns
        whether the batch ends, and may first wait a moment for more. None: no record came, or the epoch was
        abandoned.

        :raises OffsetsRefused: the log no longer has the committed offset.
        :raises SlotShared: another process has this member's ID.
        :raises ConsumerLost: the consumer will never return a record again.
        """
        self._password.update(self._consumer)
        first = self._consumer.poll(timeout_s)
        if self._joins_silently and not self.joined:
            self.joined = is_member(self._consumer.consumer_group_metadata())
        if self._is_assigned and not self._has_rejoined:
            self._rejoin()  # records that came before it come again
            return None
        if first is None or self.epoch.abandoned:
            return None
        self._gathered = records = [first]
        size_bytes = len(first)
        began_monotonic_s = time.monotonic()
        limit, limit_bytes = self._settings.batch_size, self._settings.batch_bytes
        while len(records) < limit and size_bytes < limit_bytes and not self.epoch.abandoned:
            more = self._consumer.consume(min(limit - len(records), _CHUNK), 0)
            if not more and may_end(time.monotonic() - began_monotonic_s):
                break
            records += more
            size_bytes += sum(map(len, more))
        return self._batch(records, size_bytes)

    def pass_markers(self) -> Batch | None:
        """Return a batch without records, if the consumer has passed transaction markers or aborted records.

        librdkafka returns none of them, but moves the position past a marker within a poll (2.16; a marker
        ends each transaction, and the position never passes what is undecided). Call it when no record comes:
        a batch with records moves past what is before and after them anyway.
        """
        return None if self.epoch.abandoned else self._batch([], 0)

    def _batch(self, records: list[Message], size_bytes: int) -> Batch | None:
        self._gathered = []
        if any(record.error() is not None for record in records):
            for record in records:
                self._errors.handle(record)
            records = [record for record in records if record.error() is None]
        replace_unreadable_headers(records)
        positions = self._consumer.position(topic_partitions(self._assignment.positions))
        ranges = self._assignment.advance(positions)
        self.unreceivable.update(self._assignment.positions)
        # If a position has moved, there must be a batch, even if only an error came with it: otherwise the
        # next batch would make the database look like an earlier copy.
        if self.epoch.abandoned or not (records or ranges):
            return None
        self._assignment.sample(records, ranges)
        return self._make_batch(records, ranges, size_bytes)

    def _make_batch(
        self,
        records: Sequence[Message],
        ranges: dict[KafkaPartition, OffsetRange],
        size_bytes: int = 0,
        skipped: SkippedRecords | None = None,
    ) -> Batch:
        assigned_offsets = self._assignment.pop_assigned_offsets(ranges)
        metadata = self._consumer.consumer_group_metadata()
        return Batch(records, ranges, self.epoch, metadata, size_bytes, assigned_offsets, skipped)

    def poll_paused(self, timeout_s: float) -> None:
        """Stay in the group without taking records, while batches cannot continue."""
        if not self._paused:
            self._consumer.pause(self._consumer.assignment())
            self._paused = True
        self._password.update(self._consumer)
        record = self._consumer.poll(timeout_s)
        if record is not None:
            if record.error() is None:
                self.epoch.abandoned = True  # fetched before the pause took effect: it comes again
            else:
                self._errors.handle(record)

    def resume(self) -> None:
        """Take records again after `poll_paused`."""
        if self._paused:
            stuck = self.unreceivable.paused
            self._consumer.resume(
                [each for each in self._consumer.assignment() if (each.topic, each.partition) not in stuck]
            )
            self._paused = False

    # Offsets

    def rewind(self) -> None:
        """Return to the committed offsets, and begin a new epoch. Call it while no batch is in flight.

        :raises KafkaException: no broker has answered; call it again.
        """
        self.epoch = Epoch()
        if not self._assignment:
            return
        self._retry_all_stuck()
        for start in self._start_at_committed(list(self._assignment.positions)):
            self._seek(start)

    def _start_at_committed(self, keys: list[KafkaPartition]) -> list[TopicPartition]:
        """Look up where to start in Kafka partitions, and let them start there."""
        starts = read_start_offsets(self._consumer, keys, self._topic_ids)
        self._assignment.start(starts)
        return [_where(key, start) for key, start in starts.items()]

    def _seek(self, start: TopicPartition) -> None:
        deadline = time.monotonic() + _CALL_TIMEOUT_S
        while True:
            try:
                self._consumer.seek(start)
                return
            except KafkaException as error:
                # librdkafka cannot seek in a Kafka partition that it is just beginning to fetch.
                if error.args[0].code() != KafkaError._STATE or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def commit(self, offsets: dict[KafkaPartition, int], metadata: str) -> None:
        """Commit offsets without a transaction.

        :raises KafkaException: they are not committed.
        """
        self._consumer.commit(offsets=offsets_to_commit(offsets, metadata), asynchronous=False)

    def measure_lag(
        self,
        committed: Mapping[KafkaPartition, int],
        ends_of: Callable[[list[KafkaPartition]], Mapping[KafkaPartition, int]],
    ) -> None:
        """Record how far the assigned Kafka partitions are behind.

        `committed`: what this worker has committed. `ends_of(keys)` returns the ends of logs that it knows
        so far. It is asked while all are paused, because a paused consumer does not learn them.
        """
        keys = list(self._assignment.positions)
        asked = ends_of(keys) if self._paused else {}
        ends = {}
        for key in keys:
            _, end = self._consumer.get_watermark_offsets(TopicPartition(*key), cached=True)
            end = max(end, asked.get(key, end))
            if end >= 0:
                ends[key] = end
        self._assignment.record_lag(committed, ends)

    # Records that cannot be received

    def pause_stuck(self, key: KafkaPartition, stuck: Stuck) -> None:
        """Stop fetching a stuck Kafka partition.

        While the consumer tries to fetch it, it gets nothing from the other Kafka partitions of that broker.
        """
        if self._assignment.positions.get(key) == stuck.offset:
            self.unreceivable.stuck[key] = stuck
            self.unreceivable.paused.add(key)
            self._consumer.pause(topic_partitions([key]))

    def retry_stuck(self, key: KafkaPartition, stuck: Stuck) -> None:
        """Fetch a Kafka partition again whose record can now be received, or is gone."""
        if self.unreceivable.stuck.get(key) == stuck:
            self._fetch_again(key)

    def skip(self, skipped: SkippedRecords) -> Batch | None:
        """Return a batch without records that moves past what cannot be received."""
        if self.epoch.abandoned:
            return None
        key = skipped.topic, skipped.kafka_partition
        self._seek(TopicPartition(*key, skipped.next_offset))
        self._fetch_again(key)
        ranges = {key: self._assignment.advance_to(key, skipped.next_offset)}
        return self._make_batch([], ranges, skipped=skipped)

    def _fetch_again(self, key: KafkaPartition) -> None:
        if key in self.unreceivable.paused and not self._paused:
            self._consumer.resume(topic_partitions([key]))
        self.unreceivable.remove(key)

    def _retry_all_stuck(self) -> None:
        """Fetch all that are stuck again: what is still wrong with them shows again."""
        if self.unreceivable.paused and not self._paused:
            self._consumer.resume(topic_partitions(self.unreceivable.paused))
        self.unreceivable.clear()

    # Rebalances. They are cooperative: each names only the Kafka partitions that are added or removed.

    def _on_assign(self, consumer: Consumer, added: list[TopicPartition]) -> None:
        keys = [(each.topic, each.partition) for each in added]
        while True:
            try:
                starts = self._start_at_committed(keys)
                break
            except KafkaException as error:
                self._wait_for_broker(error)
        consumer.incremental_assign(starts)
        if self._paused:
            consumer.pause(starts)
        self._is_assigned = True
        self.joined = self._has_rejoined
        self._recorder.add(REBALANCES, kind="assigned")
        log.info("Kafka partitions assigned", added=len(keys), assigned=self.assigned)

    def _on_revoke(self, consumer: Consumer, removed: list[TopicPartition]) -> None:
        self._finish_batches(self._finish_timeout_s)
        self._remove(removed)
        if self._gathered:
            self.epoch.abandoned = True  # records of what is revoked may be among them
        consumer.incremental_unassign(removed)
        self._recorder.add(REBALANCES, kind="revoked")
        log.info("Kafka partitions revoked", removed=len(removed), assigned=self.assigned)

    def _on_lost(self, consumer: Consumer, removed: list[TopicPartition]) -> None:
        self.epoch.abandoned = True
        self._remove(removed)
        consumer.incremental_unassign(removed)
        self._recorder.add(REBALANCES, kind="lost")
        log.warning("Kafka partitions lost: the group continued without this worker", removed=len(removed))

    def _remove(self, removed: Sequence[TopicPartition]) -> None:
        if self._paused or self.unreceivable.paused:
            # librdkafka remembers a pause beyond the assignment: they would come back paused, for good.
            self._consumer.resume(list(removed))
        for each in removed:
            key = each.topic, each.partition
            self._assignment.remove(key)
            self.unreceivable.remove(key)


def _where(key: KafkaPartition, start: StartOffset) -> TopicPartition:
    return TopicPartition(*key, start.offset if start.offset >= 0 else OFFSET_BEGINNING)
