"""Transactions out: what a batch sends, and the offsets that say so, become visible together."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from tracker.failpoints import reach
from tracker.kafka.batch import TopicPartition as Key
from tracker.kafka.errors import BatchGivenUp, SlotShared
from tracker.logs import get_logger, kafka_logger
from tracker.metrics import KAFKA_ABORTS, KAFKA_PRODUCER_RESTARTS, KAFKA_RETRIES, Recorder
from tracker.settings import Settings

_CALL_TIMEOUT_S = 5.0  # calls that have not ended by then go on with the next try
# librdkafka loses sight of a call now and then, and then never returns from it: seen with 2.15 in
# send_offsets_to_transaction, where the group's coordinator went away in the middle of it.
_HANGS_AFTER_S = 20.0
_FENCINGS_IN_A_ROW = 5  # then two processes take the transactional ID from each other again and again

log = get_logger()

Headers = Any  # a list of (name, value) pairs, or None: confluent_kafka says one type in, and another out


class OutgoingMessage(NamedTuple):
    """A message that is not a record passed on: a dead letter, a job that starts, a held message."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


def producer_properties(settings: Settings, transactional_id: str) -> dict[str, Any]:
    """Return librdkafka's properties: the user's, and those that the promises rest on."""
    properties: dict[str, Any] = {
        "linger.ms": "5",
        "batch.size": "1000000",
        "message.max.bytes": str(2 * settings.max_message_bytes + 1_048_576),
        "queue.buffering.max.messages": "1000000",
        "queue.buffering.max.kbytes": "1048576",
        # The wait between tries to begin while the last transaction settles: with the default of 100,
        # transactions back to back take 93 ms each, with 5, 3.5 ms (Kafka 4.2).
        "retry.backoff.ms": "5",
        "partitioner": "murmur2_random",  # keys land where Java's producers put them
    }
    properties |= settings.producer_properties()
    properties |= {"allow.auto.create.topics": "false", "delivery.report.only.error": True}
    if settings.delivery == "exactly_once":
        properties.setdefault("transaction.timeout.ms", "30000")
        properties["transactional.id"] = transactional_id
    else:
        properties["enable.idempotence"] = "true"
    return properties


class BatchProducer:
    """Publishes batches, each in one Kafka transaction with its offsets. Calls come from one thread.

    `wait` is called between tries of calls that fail for a while; it raises where they are to end.
    `on_refused(topic, error)` is told of destinations that would not take a message.
    """

    def __init__(
        self,
        settings: Settings,
        transactional_id: str,
        recorder: Recorder,
        wait: Callable[[], None],
        on_refused: Callable[[str, KafkaError], None] = lambda _topic, _error: None,
    ) -> None:
        self._properties = producer_properties(settings, transactional_id)
        self._transactional = settings.delivery == "exactly_once"
        self._recorder = recorder
        self._wait = wait
        self._on_refused = on_refused
        self._undelivered: list[tuple[str, KafkaError]] = []
        self._fencings = 0
        self._call: tuple[str, float] | None = None  # its name, and when it began
        self._producer: Producer | None = None

    def start(self) -> None:
        """Connect, and end whatever transaction a predecessor with the same ID has left open."""
        self._producer = Producer(
            {**self._properties, "on_delivery": self._on_delivery}, logger=kafka_logger()
        )
        if self._transactional:
            self._retry(self._producer.init_transactions, _CALL_TIMEOUT_S)

    def publish(
        self,
        records: Sequence[Message],
        destinations: Sequence[str | None],
        values: Sequence[bytes | None],
        others: Iterable[OutgoingMessage],
        offsets: Sequence[TopicPartition],
        group_metadata: Any,
    ) -> None:
        """Send each record's value, key and headers to its destination (None: nowhere), then `others`.

        When this returns, all of it and `offsets` are committed; without transactions, all of it is
        delivered, and the offsets are the caller's to commit.

        :raises BatchGivenUp: nothing of it is visible to readers of committed messages, and the batch is to
            be done again from the committed offsets.
        :raises SlotShared: another process uses the transactional ID.
        """
        try:
            producer = self._started()
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
            self._give_up(error.args[0])
        self._fencings = 0

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
            raise BatchGivenUp("the producer is closed")
        return self._producer

    def _produce(
        self,
        producer: Producer,
        records: Sequence[Message],
        destinations: Sequence[str | None],
        values: Sequence[bytes | None],
        others: Iterable[OutgoingMessage],
    ) -> None:
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

    def _produce_later(
        self, producer: Producer, topic: str, value: bytes | None, key: bytes | None, headers: Headers
    ) -> None:
        while True:
            try:
                producer.produce(topic, value, key, headers=headers)
                return
            except BufferError:  # the queue is full: let some of it go out
                self._wait()
                producer.poll(0.1)

    def _flush(self, producer: Producer) -> None:
        while producer.flush(1.0):
            self._wait()
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
            finally:
                self._call = None
            self._recorder.add(KAFKA_RETRIES)
            self._wait()

    def _give_up(self, error: KafkaError) -> None:
        """Abort the transaction, with a new producer where the old one cannot go on, and raise."""
        for topic, why in self._undelivered:
            self._on_refused(topic, why)
        self._undelivered.clear()
        self._recorder.add(KAFKA_ABORTS)
        log.warning("batch given up, and done again", error=error.str(), code=error.name())
        fenced = error.code() in (
            KafkaError._FENCED,
            KafkaError.INVALID_PRODUCER_EPOCH,
            KafkaError.PRODUCER_FENCED,
        )
        self._fencings = self._fencings + 1 if fenced else 0
        if self._fencings >= _FENCINGS_IN_A_ROW:
            raise SlotShared(
                "another process uses this worker's transactional ID: it is fenced again and again"
            )
        if self._transactional and error.txn_requires_abort() and not error.fatal():
            try:
                self._retry(self._started().abort_transaction, _CALL_TIMEOUT_S)
                raise BatchGivenUp(error.str())
            except KafkaException as abort_error:
                log.warning("the abort failed too", error=abort_error.args[0].str())
        # Fatal, or with an outcome that is not known: a new producer with the same ID settles it.
        self._recorder.add(KAFKA_PRODUCER_RESTARTS)
        self._producer = None
        raise BatchGivenUp(error.str())

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and error.code() not in (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT):
            self._undelivered.append((message.topic() or "", error))


def next_offsets(ranges: dict[Key, tuple[int, int]], metadata: str) -> list[TopicPartition]:
    """Return the offsets to commit once the records in `ranges` are published."""
    return [TopicPartition(*key, behind, metadata) for key, (_, behind) in ranges.items()]
