"""Transactions out: what a batch sends, and the offsets that say so, become visible together."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, NoReturn

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from tracker.failpoints import reach
from tracker.kafka.batch_size import BatchSize
from tracker.kafka.broker_limits import NO_LIMITS, BrokerLimits, shorter_transactions
from tracker.kafka.errors import BatchAbandoned, ClockRefused, MessagesRefused, SlotShared, reason_of
from tracker.kafka.password import RotatedPassword, secrets_of
from tracker.kafka.produce_errors import Fault, fault_of, is_about_the_clock
from tracker.kafka.properties import producer_properties
from tracker.kafka.stuck import StuckDestinations, Undelivered
from tracker.kafka_partition import KafkaPartition
from tracker.logs import get_logger, kafka_logger
from tracker.metrics import KAFKA_ABORTS, KAFKA_RETRIES, Recorder
from tracker.obstacles import Obstacles
from tracker.settings import Settings

_CALL_TIMEOUT_S = 5.0  # calls that have not ended by then go on with the next try
# librdkafka loses sight of a call now and then, and then never returns from it: seen with 2.15 in
# send_offsets_to_transaction, where the group's coordinator went away in the middle of it.
_HANGS_AFTER_S = 20.0
_FENCINGS_IN_A_ROW = 5  # then two processes take the transactional ID from each other again and again

# A topic that was there may be gone, or not to be written to any more.
_MAY_BE_A_TOPIC = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError._TIMED_OUT,
    KafkaError._INCONSISTENT,  # several messages, each for a reason of its own
)

log = get_logger()

Headers = Any  # a list of (name, value) pairs, or None: confluent_kafka says one type in, and another out


class OutgoingMessage(NamedTuple):
    """A message that is not a record passed on: a dead letter, a job that starts, a held message."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


class BatchProducer:
    """Publishes batches, each in one Kafka transaction with its offsets. Calls come from one thread.

    After a message was refused, the batch is tried again by a producer that sends every message by itself, to
    find out which. Where none is refused then, it was their number: for a while fewer go together.

    `wait(reason)` is called between tries of calls that fail for a while; it raises where they are to end.
    `on_refused(topic, error)` is told of destinations that would not take a message, or may be gone.
    `undelivered` finds out what a batch waits for. `limits` asks the brokers for theirs.
    """

    def __init__(
        self,
        settings: Settings,
        transactional_id: str,
        recorder: Recorder,
        wait: Callable[[str], None],
        on_refused: Callable[[str, KafkaError], None] = lambda _topic, _error: None,
        undelivered: Undelivered | None = None,
        limits: Callable[[], BrokerLimits] = lambda: NO_LIMITS,
    ) -> None:
        self._settings = settings
        self._password = RotatedPassword(settings, "producer")
        self._properties = producer_properties(settings, transactional_id)
        self._transactional = settings.delivery == "exactly_once"
        self._recorder = recorder
        self._wait = wait
        self._on_refused = on_refused
        self.undelivered = undelivered or Undelivered(StuckDestinations(Obstacles(), recorder))
        self._limits = limits
        self._undelivered: list[tuple[str, KafkaError]] = []
        self._one_by_one = self._has_refused = False
        self._batch_size = BatchSize(int(self._properties["batch.size"]))
        self._refused: dict[int, KafkaError] = {}  # by position
        self._fencings = 0
        self._call: tuple[str, float] | None = None  # its name, and when it began
        self._producer: Producer | None = None

    def start(self) -> None:
        """Connect, and end whatever transaction a predecessor with the same ID has left open.

        A broker that allows only shorter transactions says so here; where the user has not set their
        time-out, it gives way.
        """
        while True:
            try:
                self._connect()
                return
            except KafkaException as error:
                self._producer = None
                if error.args[0].code() != KafkaError.INVALID_TRANSACTION_TIMEOUT:
                    raise
            refused_ms = int(self._properties["transaction.timeout.ms"])
            timeout_ms = shorter_transactions(self._settings, refused_ms, self._limits())
            self._properties["transaction.timeout.ms"] = str(timeout_ms)
            log.warning(
                "the brokers do not allow transactions as long as the tracker's default"
                " (transaction.max.timeout.ms); shorter ones are used",
                refused_ms=refused_ms,
                timeout_ms=timeout_ms,
            )

    def _connect(self) -> None:
        own: dict[str, Any] = {
            "on_delivery": self._on_delivery,
            "stats_cb": self.undelivered.look,
            "batch.size": str(self._batch_size.size_bytes),
        }
        if self._one_by_one:
            own["batch.num.messages"] = "1"
        secrets = secrets_of(self._settings, "producer")  # as they are now
        self._producer = Producer({**self._properties, **secrets, **own}, logger=kafka_logger())
        if self._transactional:
            self._retry(self._producer.init_transactions, _CALL_TIMEOUT_S)

    def poll_callbacks(self) -> None:
        """Take what librdkafka has to log, which it keeps in memory until then."""
        if self._producer is not None:
            self._producer.poll(0)
            self._password.look(self._producer)

    def recover(self) -> None:
        """End a transaction that could not be aborted. Offsets are told only once it has ended or timed out.

        :raises KafkaException: it cannot be done now.
        """
        if self._producer is None:
            self.start()

    def publish(
        self,
        records: Sequence[Message],
        destinations: Sequence[str | None],
        values: Sequence[bytes | None],
        others: Sequence[OutgoingMessage],
        offsets: Sequence[TopicPartition],
        group_metadata: Any,
    ) -> None:
        """Send each record's value, key and headers to its destination (None: nowhere), then `others`.

        When this returns, all of it and `offsets` are committed; without transactions, all of it is
        delivered, and the offsets are the caller's to commit.

        :raises BatchAbandoned: nothing of it is visible to readers of committed messages, and the batch is to
            be done again from the committed offsets.
        :raises MessagesRefused: the same, and to be done without those messages.
        :raises ClockRefused: the same, and to be done once this machine's clock is right.
        :raises SlotShared: another process uses the transactional ID.
        """
        try:
            producer = self._started()
            self._password.look(producer)
            self.undelivered.begin()
            if self._transactional:
                producer.begin_transaction()
            reach("after-begin")
            self._produce(producer, records, destinations, values, others)
            reach("after-produce")
            if self._transactional:
                self._retry(producer.send_offsets_to_transaction, offsets, group_metadata, _CALL_TIMEOUT_S)
                reach("after-offsets")
                self._retry(producer.commit_transaction, _CALL_TIMEOUT_S)
            else:
                self._flush(producer)
        except KafkaException as error:
            if error.args[0].code() in _MAY_BE_A_TOPIC:
                # The transaction's coordinator does not say which topic it is; or nobody says anything.
                for topic in {*filter(None, destinations), *(other.topic for other in others)}:
                    self._on_refused(topic, KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
            self._give_up(error.args[0])
        self._fencings = 0
        self.undelivered.published()
        if self._one_by_one:
            self._send_together_again()
        elif self._batch_size.grow():
            self._producer = None

    def hangs(self) -> str:
        """Name the call that has not returned long after its time; empty: all is well. Any thread may ask."""
        call = self._call
        return call[0] if call is not None and time.monotonic() - call[1] > _HANGS_AFTER_S else ""

    def close(self) -> None:
        """Let go of the connection; what is not committed is not visible."""
        self._producer = None

    def _started(self) -> Producer:
        if self._producer is None:
            self.start()
        if self._producer is None:
            raise BatchAbandoned("the producer is closed")
        return self._producer

    def _produce(
        self,
        producer: Producer,
        records: Sequence[Message],
        destinations: Sequence[str | None],
        values: Sequence[bytes | None],
        others: Iterable[OutgoingMessage],
    ) -> None:
        if self._one_by_one:
            self._produce_one_by_one(producer, records, destinations, values, others)
            return
        produce = producer.produce
        for record, destination, value in zip(records, destinations, values, strict=True):
            if destination is not None:
                try:
                    produce(destination, value, record.key(), headers=record.headers())
                except BufferError:
                    self._produce_later(producer, destination, value, record.key(), record.headers())
        for other in others:
            self._produce_later(producer, other.topic, other.value, other.key, other.headers)
        producer.poll(0)

    def _produce_one_by_one(
        self,
        producer: Producer,
        records: Sequence[Message],
        destinations: Sequence[str | None],
        values: Sequence[bytes | None],
        others: Iterable[OutgoingMessage],
    ) -> None:
        """Produce, and note which are refused."""
        sends: list[OutgoingMessage | None] = [
            None
            if destination is None
            else OutgoingMessage(destination, record.key(), value, record.headers())
            for record, destination, value in zip(records, destinations, values, strict=True)
        ]
        for position, send in enumerate([*sends, *others]):
            if send is None:
                continue
            on_delivery = partial(self._on_each, position)
            try:
                self._produce_later(
                    producer, send.topic, send.value, send.key, send.headers, on_delivery=on_delivery
                )
            except KafkaException as error:
                self._on_each(position, error.args[0], None)
                raise

    def _on_each(self, position: int, error: KafkaError | None, message: Message | None) -> None:
        if error is not None and fault_of(error) is Fault.MESSAGE:
            self._refused[position] = error
        if message is not None:
            self._on_delivery(error, message)

    def _send_together_again(self) -> None:
        """Go on as before; but with smaller batches, if none of the messages was refused by itself."""
        if not self._has_refused:
            self._batch_size.shrink()
            log.warning(
                "a topic does not take such large batches; sending smaller ones",
                size_bytes=self._batch_size.size_bytes,
            )
        self._one_by_one, self._producer = False, None

    def _produce_later(
        self,
        producer: Producer,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        headers: Headers,
        **on_delivery: Any,
    ) -> None:
        while True:
            try:
                producer.produce(topic, value, key, headers=headers, **on_delivery)
                return
            except BufferError:  # the queue is full: let some of it go out
                self._wait("librdkafka's queue is full: messages are not taken fast enough")
                producer.poll(0.1)

    def _flush(self, producer: Producer) -> None:
        while left := producer.flush(1.0):
            self._wait(f"{left} messages are not acknowledged yet")
        if self._undelivered:
            raise KafkaException(self._undelivered[0][1])

    def _retry(self, call: Callable[..., object], *arguments: object) -> None:
        """Make a call of a transaction until it is done; errors that more tries do not mend are raised."""
        while True:
            self._call = call.__name__, time.monotonic()
            try:
                call(*arguments)
                return
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise
                reason = reason_of(error.args[0])
            finally:
                self._call = None
            self._recorder.add(KAFKA_RETRIES)
            self.poll_callbacks()
            self._wait(reason)

    def _give_up(self, error: KafkaError) -> NoReturn:
        """Abort the transaction, and raise. The next one is a new producer's.

        At an abort librdkafka (2.16) drops what it has queued, and gives those sequence numbers to the next
        messages: also the numbers of what it has sent before and not heard of. A broker that has that takes
        the next messages for the same ones sent again and drops them, and their transaction is committed
        without them. A new producer begins a new epoch, in which no number was used.
        """
        self._recorder.add(KAFKA_ABORTS)
        self.undelivered.abandoned()
        log.warning("batch abandoned, and done again", error=error.str(), code=error.name())
        self._count_fencings(error)
        self._abort(error)
        self._producer = None
        undelivered, self._undelivered = self._undelivered, []
        for topic, why in dict(undelivered).items():
            self._on_refused(topic, why)
        refused, self._refused = self._refused, {}
        if refused:
            self._has_refused = True
            raise MessagesRefused(refused)
        errors = [error, *(why for _, why in undelivered)]
        if any(map(is_about_the_clock, errors)):
            raise ClockRefused(error.str())
        if not self._one_by_one and any(fault_of(each) is Fault.MESSAGE for each in errors):
            self._one_by_one, self._has_refused = True, False
        raise BatchAbandoned(error.str())

    def _abort(self, error: KafkaError) -> None:
        """Abort the transaction where that can be done; else a new producer with the same ID settles it."""
        producer = self._producer
        if not self._transactional or not error.txn_requires_abort() or error.fatal() or producer is None:
            return
        if fault_of(error) is Fault.MESSAGE:
            producer.purge()
            producer.flush(_CALL_TIMEOUT_S)  # what became of each message is told in here
            return
        try:
            self._retry(producer.abort_transaction, _CALL_TIMEOUT_S)
            producer.poll(0)
        except KafkaException as abort_error:
            log.warning("the abort failed too", error=abort_error.args[0].str())

    def _count_fencings(self, error: KafkaError) -> None:
        fenced = error.code() in (
            KafkaError._FENCED,
            KafkaError.INVALID_PRODUCER_EPOCH,
            KafkaError.PRODUCER_FENCED,
        )
        self._fencings = self._fencings + 1 if fenced else 0
        if self._fencings >= _FENCINGS_IN_A_ROW:
            raise SlotShared("another process uses this worker's transactional ID: it is fenced repeatedly")

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and error.code() not in (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT):
            self._undelivered.append((message.topic() or "", error))


def offsets_to_commit(offsets: Mapping[KafkaPartition, int], metadata: str) -> list[TopicPartition]:
    """Return offsets in the form in which a transaction takes them."""
    return [TopicPartition(topic, number, offset, metadata) for (topic, number), offset in offsets.items()]
