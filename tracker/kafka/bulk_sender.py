"""Sends for commands: each call is one Kafka transaction, and a later command ends an earlier one."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, NoReturn

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from tracker.errors import TrackerError
from tracker.failpoints import reach
from tracker.kafka.broker_limits import broker_limits, shorter_transactions
from tracker.kafka.errors import MessagesRefused
from tracker.kafka.explain import explain, kafka_errors
from tracker.kafka.inspection import SILENT, connect_admin
from tracker.kafka.produce_errors import Fault, fault_of
from tracker.kafka.producer import Headers
from tracker.kafka.properties import command_producer_properties
from tracker.settings import Settings

ANY_PARTITION = -1

_CALL_TIMEOUT_S = 5.0
_TIMEOUT_S = 60.0  # of all tries of a call
_FENCED = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)
_PURGED = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)


class CommandReplaced(TrackerError):
    """A later command with the same transactional ID has begun, and this one can send nothing any more."""


class BulkMessage(NamedTuple):
    """A message to send; without a Kafka partition its key decides."""

    topic: str
    kafka_partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class BulkSender:
    """Sends messages, all of a call or none. Nothing is sent before `connect`.

    A failed call needs another `connect`. The producer of a transaction that was aborted is not used again:
    see `BatchProducer`.
    """

    def __init__(self, settings: Settings, transactional_id: str) -> None:
        self._settings = settings
        self._properties = command_producer_properties(settings, transactional_id)
        self._errors: deque[KafkaError] = deque(maxlen=1)
        self._producer: Producer | None = None

    def connect(self, *, one_by_one: bool = False) -> None:
        """Connect. From now on, an earlier producer with this transactional ID can send nothing.

        What it has sent is committed or aborted when this returns. So find out only after this call what is
        still to be sent. With `one_by_one`, Kafka says of each message whether it refuses that one.

        :raises TrackerError: Kafka does not answer, or refuses.
        """
        self._producer = None
        self._errors.clear()
        own: dict[str, Any] = {"error_cb": self._hear}
        if one_by_one:
            own["batch.num.messages"] = "1"
        with kafka_errors():
            while self._producer is None:
                producer = Producer({**self._properties, **own}, logger=SILENT)
                try:
                    self._retry(producer.init_transactions)
                    self._producer = producer
                except KafkaException as error:
                    if error.args[0].code() != KafkaError.INVALID_TRANSACTION_TIMEOUT:
                        raise
                    self._shorten()

    def send(self, messages: Sequence[BulkMessage]) -> None:
        """Send messages. When this returns, readers of committed records see all of them.

        :raises MessagesRefused: none is sent, because Kafka refuses some. Without `one_by_one` it may refuse
            only some of those that it names.
        :raises CommandReplaced: none is sent.
        :raises TrackerError: Kafka does not answer, or refuses. It is not known whether they were sent.
        """
        producer = self._producer
        if producer is None:
            raise TrackerError("the producer is not connected")
        failed: dict[int, KafkaError] = {}
        try:
            producer.begin_transaction()
            for position, message in enumerate(messages):
                _produce(producer, message, partial(_note, failed, position))
            self._flush(producer, failed)
            reach("letters-before-kafka-commit")
            self._retry(producer.commit_transaction)
        except BaseException as error:
            self._abort(producer)
            kafka_error = _kafka_error_in(error)
            if kafka_error is None:
                raise
            self._wait_for_reason(kafka_error, producer)
            self._raise(kafka_error, failed)
        reach("letters-after-kafka-commit")

    def close(self) -> None:
        """Disconnect."""
        self._producer = None

    def _shorten(self) -> None:
        refused_ms = int(self._properties["transaction.timeout.ms"])
        limits = broker_limits(connect_admin(self._settings))
        timeout_ms = shorter_transactions(self._settings, refused_ms, limits)
        self._properties["transaction.timeout.ms"] = str(timeout_ms)

    def _flush(self, producer: Producer, failed: dict[int, KafkaError]) -> None:
        deadline = time.monotonic() + _TIMEOUT_S
        while producer.flush(1.0) and not failed:
            if time.monotonic() > deadline:
                raise KafkaException(self._why_no_answer())
        if failed:
            raise KafkaException(next(iter(failed.values())))

    def _retry(self, call: Callable[..., object]) -> None:
        """Repeat a call until it succeeds; raise errors that cannot be retried."""
        deadline = time.monotonic() + _TIMEOUT_S
        while True:
            try:
                call(_CALL_TIMEOUT_S)
                return
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise
                if time.monotonic() > deadline:
                    raise KafkaException(self._why_no_answer(error.args[0])) from None

    def _why_no_answer(self, error: KafkaError | None = None) -> KafkaError:
        if self._errors:
            return self._errors[0]
        return error or KafkaError(KafkaError._TIMED_OUT)

    def _abort(self, producer: Producer) -> None:
        """End the transaction, so that readers need not wait until it times out; it may not be possible."""
        self._producer = None
        try:
            producer.purge()
            producer.flush(_CALL_TIMEOUT_S)  # calls back with the result of each message
            producer.abort_transaction(_CALL_TIMEOUT_S)
        except (KafkaException, SystemError):
            return

    def _hear(self, error: KafkaError) -> None:
        # Nothing that comes after a fatal error explains it.
        if not (self._errors and self._errors[0].fatal()):
            self._errors.append(error)

    def _wait_for_reason(self, error: KafkaError, producer: Producer) -> None:
        """Wait for the callback with the reason of a fatal error; calls are refused before it comes."""
        deadline = time.monotonic() + _CALL_TIMEOUT_S
        while error.code() == KafkaError._FATAL and not self._errors and time.monotonic() < deadline:
            with suppress(KafkaException, SystemError):
                producer.poll(0.1)

    def _raise(self, error: KafkaError, failed: dict[int, KafkaError]) -> NoReturn:
        # A call after a fatal error says only that there was one; the client's own callback says which.
        errors = [error, *failed.values(), *self._errors]
        if any(each.code() in _FENCED for each in errors):
            raise CommandReplaced(
                "a later command took this one's place, or a transaction took too long"
            ) from None
        refused = {at: each for at, each in failed.items() if fault_of(each) is not Fault.OURS}
        if refused:
            raise MessagesRefused(refused) from None
        raise TrackerError(explain(error)) from None


def _produce(producer: Producer, message: BulkMessage, on_delivery: Callable[..., None]) -> None:
    topic, kafka_partition, key, value, headers = message
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            producer.produce(topic, value, key, kafka_partition, on_delivery, headers=headers)
            return
        except BufferError:  # the queue is full: let some of it be sent
            if time.monotonic() > deadline:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from None
            producer.poll(0.1)
        except KafkaException as error:
            on_delivery(error.args[0], None)
            raise


def _kafka_error_in(error: BaseException) -> KafkaError | None:
    """Return the error of Kafka that has caused this one.

    After a fatal error, confluent_kafka (2.16) calls back with an exception set. The first call of a method
    in the callback is then a `SystemError`, whose cause is that exception.
    """
    if isinstance(error, SystemError) and error.__cause__ is not None:
        error = error.__cause__
    found = error.args[0] if isinstance(error, KafkaException) else None
    return found if isinstance(found, KafkaError) else None


def _note(failed: dict[int, KafkaError], position: int, error: KafkaError | None, _: Message | None) -> None:
    if error is not None and error.code() not in _PURGED:
        failed[position] = error
