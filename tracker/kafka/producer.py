"""Transactions out: a batch's messages and its offsets become visible together."""

import time
from collections.abc import Callable, Iterable, Sequence
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
from tracker.logs import get_logger, kafka_logger
from tracker.messages.dead_letter import forwarded_headers
from tracker.metrics import KAFKA_ABORTS, KAFKA_RETRIES, Recorder
from tracker.obstacles import Obstacles
from tracker.settings import Settings

_CALL_TIMEOUT_S = 5.0  # a call that has not ended by then continues with the next try
# librdkafka sometimes loses track of a call and never returns from it: seen with 2.15 in
# send_offsets_to_transaction, when the group's coordinator went away in the middle of the call.
_HANGS_AFTER_S = 20.0
_FENCINGS_IN_A_ROW = 5  # then two processes take the transactional ID from each other, repeatedly

# After these errors a topic may no longer exist, or may no longer be written to.
_MAY_BE_A_TOPIC = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError._TIMED_OUT,
    KafkaError._INCONSISTENT,  # several messages, each for a reason of its own
)

log = get_logger()

Headers = Any  # a list of (name, value) pairs, or None: confluent_kafka types them differently in and out


class OutgoingMessage(NamedTuple):
    """A message other than a forwarded record: a dead letter, the first message of a job, a held message."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


class BatchProducer:
    """Publishes batches, each in one Kafka transaction with its offsets. Calls come from one thread.

    After a message was refused, the batch is tried again with a producer that sends every message by itself,
    to find out which. If none is refused then, their number was the cause: for a while fewer are sent
    together.

    `wait(reason)` is called between tries of a call that fails; it raises to end them.
    `on_refused(topic, error)` is called for destinations that did not take a message, or may be gone.
    `undelivered` finds out what a batch waits for. `limits` asks a broker for its limits.
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
        self._delivery_errors: list[tuple[str, KafkaError]] = []  # with their topics
        self._one_by_one = False
        self._found_refused = False  # while it sends one by one
        self._batch_size = BatchSize(int(self._properties["batch.size"]))
        self._refused: dict[int, KafkaError] = {}  # by position in the batch
        self._fencings = 0
        self._call: tuple[str, float] | None = None  # its name, and when it began
        self._producer: Producer | None = None

    def start(self) -> None:
        """Connect, and end the transaction, if any, that a predecessor with the same ID has left open.

        A broker that allows only shorter transactions refuses here. Unless the user has set their time-out, a
        shorter one is used.
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
            "stats_cb": self.undelivered.on_statistics,
            "batch.size": str(self._batch_size.size_bytes),
        }
        if self._one_by_one:
            own["batch.num.messages"] = "1"
        secrets = secrets_of(self._settings, "producer")  # as they are now
        self._producer = Producer({**self._properties, **secrets, **own}, logger=kafka_logger())
        if self._transactional:
            self._retry(self._producer.init_transactions, _CALL_TIMEOUT_S)

    def poll_callbacks(self) -> None:
        """Let librdkafka log: it keeps its lines in memory until then."""
        if self._producer is not None:
            self._producer.poll(0)
            self._password.update(self._producer)

    def recover(self) -> None:
        """End a transaction that could not be aborted. Until then Kafka does not answer with offsets.

        :raises KafkaException: this is not possible now.
        """
        if self._producer is None:
            self.start()

    def publish(
        self,
        records: Sequence[Message],
        destinations: Sequence[str | None],
        values: Sequence[bytes | None],
        messages: Sequence[OutgoingMessage],
        offsets: Sequence[TopicPartition],
        group_metadata: Any,
    ) -> None:
        """Send each record's value, key and headers to its destination (None: nowhere), then `messages`.

        When this returns, all of them and `offsets` are committed. Without transactions, all of them are
        delivered, and the caller must commit the offsets.

        :raises BatchAbandoned: readers of committed messages see none of them. Repeat the batch from the
            committed offsets.
        :raises MessagesRefused: the same. Repeat the batch without those messages.
        :raises ClockRefused: the same. Repeat the batch when this machine's clock is right.
        :raises SlotShared: another process uses the transactional ID.
        """
        try:
            producer = self._started()
            self._password.update(producer)
            self.undelivered.begin()
            if self._transactional:
                producer.begin_transaction()
            reach("after-begin")
            self._produce(producer, records, destinations, values, messages)
            reach("after-produce")
            if self._transactional:
                self._retry(producer.send_offsets_to_transaction, offsets, group_metadata, _CALL_TIMEOUT_S)
                reach("after-offsets")
                self._retry(producer.commit_transaction, _CALL_TIMEOUT_S)
            else:
                self._flush(producer)
        except KafkaException as error:
            if error.args[0].code() in _MAY_BE_A_TOPIC:
                # The transaction's coordinator does not say which topic it is; or no broker answers.
                for topic in {*filter(None, destinations), *(message.topic for message in messages)}:
                    self._on_refused(topic, KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
            self._abandon(error.args[0])
        self._fencings = 0
        self.undelivered.published()
        if self._one_by_one:
            self._send_together()
        elif self._batch_size.grow():
            self._producer = None

    def hangs(self) -> str:
        """Return the name of a call that should have returned long ago; empty: none. Any thread may ask."""
        call = self._call
        return call[0] if call is not None and time.monotonic() - call[1] > _HANGS_AFTER_S else ""

    def close(self) -> None:
        """Disconnect; messages that are not committed stay invisible."""
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
        messages: Iterable[OutgoingMessage],
    ) -> None:
        if self._one_by_one:
            self._produce_one_by_one(producer, records, destinations, values, messages)
            return
        produce = producer.produce
        for record, destination, value in zip(records, destinations, values, strict=True):
            if destination is not None:
                headers: Headers = record.headers()
                try:
                    if headers:
                        headers = forwarded_headers(headers)
                        produce(destination, value, record.key(), headers=headers)
                    else:  # any headers, even None, cost 0.5 µs
                        produce(destination, value, record.key())
                except BufferError:
                    self._produce_when_possible(producer, destination, value, record.key(), headers)
        for topic, key, value, headers in messages:
            self._produce_when_possible(producer, topic, value, key, headers)
        producer.poll(0)

    def _produce_one_by_one(
        self,
        producer: Producer,
        records: Sequence[Message],
        destinations: Sequence[str | None],
        values: Sequence[bytes | None],
        messages: Iterable[OutgoingMessage],
    ) -> None:
        """Produce, and remember which are refused."""
        forwards: list[OutgoingMessage | None] = [
            None
            if destination is None
            else OutgoingMessage(destination, record.key(), value, _forwarded_headers(record))
            for record, destination, value in zip(records, destinations, values, strict=True)
        ]
        for position, message in enumerate([*forwards, *messages]):
            if message is None:
                continue
            topic, key, value, headers = message
            on_delivery = partial(self._on_single_delivery, position)
            try:
                self._produce_when_possible(producer, topic, value, key, headers, on_delivery=on_delivery)
            except KafkaException as error:
                self._on_single_delivery(position, error.args[0], None)
                raise

    def _on_single_delivery(self, position: int, error: KafkaError | None, message: Message | None) -> None:
        if error is not None and fault_of(error) is Fault.MESSAGE:
            self._refused[position] = error
        if message is not None:
            self._on_delivery(error, message)

    def _send_together(self) -> None:
        """Stop sending one by one. If no message was refused by itself, use smaller batches from now on."""
        if not self._found_refused:
            self._batch_size.shrink()
            log.warning(
                "a topic does not take such large batches; sending smaller ones",
                size_bytes=self._batch_size.size_bytes,
            )
        self._one_by_one, self._producer = False, None

    def _produce_when_possible(
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
            except BufferError:  # the queue is full: let some of it be sent
                self._wait("librdkafka's queue is full: messages are not taken fast enough")
                producer.poll(0.1)

    def _flush(self, producer: Producer) -> None:
        while producer.flush(1.0):
            self._wait("messages are not acknowledged yet")
        if self._delivery_errors:
            raise KafkaException(self._delivery_errors[0][1])

    def _retry(self, call: Callable[..., object], *arguments: object) -> None:
        """Repeat a call of a transaction until it succeeds; raise errors that cannot be retried."""
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

    def _abandon(self, error: KafkaError) -> NoReturn:
        """Abort the transaction, and raise. The next transaction uses a new producer.

        At an abort librdkafka (2.16) drops what it has queued, and gives those sequence numbers to the next
        messages. That includes the numbers of messages that were sent and not acknowledged. A broker that has
        received these takes the next messages for repetitions and drops them, and their transaction is
        committed without them. A new producer begins a new producer epoch, in which no number was used.
        """
        self._recorder.add(KAFKA_ABORTS)
        self.undelivered.abandoned()
        log.warning("batch abandoned, and done again", error=error.str(), code=error.name())
        self._count_fencings(error)
        self._abort(error)
        self._producer = None
        failed, self._delivery_errors = self._delivery_errors, []
        for topic, delivery_error in dict(failed).items():
            self._on_refused(topic, delivery_error)
        refused, self._refused = self._refused, {}
        if refused:
            self._found_refused = True
            raise MessagesRefused(refused)
        errors = [error, *(delivery_error for _, delivery_error in failed)]
        if any(map(is_about_the_clock, errors)):
            raise ClockRefused(error.str())
        if not self._one_by_one and any(fault_of(each) is Fault.MESSAGE for each in errors):
            self._one_by_one, self._found_refused = True, False
        raise BatchAbandoned(error.str())

    def _abort(self, error: KafkaError) -> None:
        """Abort the transaction if that is possible; otherwise a new producer with the same ID ends it."""
        producer = self._producer
        if not self._transactional or not error.txn_requires_abort() or error.fatal() or producer is None:
            return
        if fault_of(error) is Fault.MESSAGE:
            producer.purge()
            producer.flush(_CALL_TIMEOUT_S)  # calls back with the result of each message
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
            self._delivery_errors.append((message.topic() or "", error))


def _forwarded_headers(record: Message) -> Headers:
    headers: Headers = record.headers()
    return forwarded_headers(headers) if headers else None
