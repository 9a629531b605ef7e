"""What every worker has in common: it receives task messages from Kafka, handles them, and sends the results.

**Exactly once.** The messages that a worker sends, and the offsets that say which messages it has handled,
are one Kafka transaction. Whatever crashes, and whenever, the results of each message are seen exactly once.
This takes three things:

1. The producer has a transactional ID. A worker that starts ends the open transaction of its predecessor of
   the same name, so give each worker that runs at the same time its own name.
2. The producer commits offsets, within the transaction. The consumer never does.
3. Programs that read the results read only committed messages, which is librdkafka's default.

This covers what goes through Kafka. Other effects of your worker (a file, a mail) happen again if a batch is
handled again, so make sure that a repetition does no harm.

To write your own worker: copy this file, and write a function like `handle` in `page_worker.py` or `split` in
`splitter.py`. It receives one task message, and returns the resulting messages; `result` and `subtask` create
them.
"""

import argparse
import base64
import json
import signal
import sys
import uuid
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, Producer, TopicPartition

TaskMessage = dict[str, Any]
Handler = Callable[[TaskMessage], Iterable[TaskMessage]]

MAX_RECORDS = 500  # in a transaction; one costs about 10 ms, so a few hundred keep that small
POLL_S = 0.1  # to wait for that many
CALL_TIMEOUT_S = 30.0


# Task messages: their content, and how to create them


def read_data(task: TaskMessage) -> Any:
    """Return the data of the task: the JSON in its `taskData`.

    Raise ValueError if it is not JSON; the worker then answers with INVALID_TASK.
    """
    return json.loads(base64.b64decode(task.get("taskData") or ""))


def result(task: TaskMessage, status: str, data: bytes, worker: str, to: str | None) -> TaskMessage:
    """Return the result of a task: the same task, with another status and other data.

    If `to` is the topic at which tracking ends (`track_to`), the task is complete when this message passes
    the tracker.
    """
    return task | {
        "taskStatus": status,
        "taskData": base64.b64encode(data).decode(),
        "to": to,
        "sourceInfo": {"name": worker, "version": "1"},
    }


def subtask(
    task: TaskMessage, number: int, last: int, classifier: str, data: bytes, worker: str, to: str
) -> TaskMessage:
    """Return subtask `number` of `last` of a task, for the workers that read the topic `to`.

    Subtasks are numbered from 1. The star after the number of the last one tells the tracker how many there
    are, so that it knows the percentage, and when all have completed. They can be sent and done in any order.
    """
    star = "*" if number == last else ""
    message = result(task, "NEW_TASK", data, worker, to)
    message["taskId"] = str(uuid.uuid4())
    message["taskClassifier"] = classifier
    if task.get("tracking"):
        message["tracking"] = task["tracking"] | {
            "jobTaskId": f"{task['tracking']['jobTaskId']}.{number}{star}"
        }
    return message


def track_to(task: TaskMessage) -> str | None:
    """Return the topic at which tracking of this task ends: its job's `targetPipe`."""
    tracking = task.get("tracking") or {}
    topic: str | None = tracking.get("trackTo")
    return topic


def next_topic(message: TaskMessage) -> str | None:
    """Return the topic to produce a message to; None if it has none.

    A message for the topic `to` is not produced to that topic, but to the tracking topic, and the tracker
    forwards it. This is how the tracker learns of everything.
    """
    tracking = message.get("tracking") or {}
    topic: str | None = tracking.get("trackingPipe") or message.get("to")
    return topic


# The worker


class TaskWorker:
    """Handles the tasks of one topic. Several of the same group share the topic's Kafka partitions."""

    def __init__(self, bootstrap_servers: str, group: str, name: str, topic: str, handle: Handler) -> None:
        self._handle = handle
        self._group = group
        self._stopping = False
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": group,
                "enable.auto.commit": False,  # the producer does it, in its transaction
                "auto.offset.reset": "earliest",
                "heartbeat.interval.ms": 500,  # when another worker can join; default 3,000
            }
        )
        self._producer_settings: dict[str, str | int] = {
            "bootstrap.servers": bootstrap_servers,
            "transactional.id": f"{group}-{name}",
            "retry.backoff.ms": 1,  # with the default of 100, transactions back to back take 93 ms each
            "linger.ms": 5,
        }
        self._consumer.subscribe([topic])

    def stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Finish the present batch, and then have `run` return. A signal handler may call this."""
        self._stopping = True

    def run(self) -> None:
        """Work until stopped. Raise KafkaException if the worker must be started again."""
        self._start_producer()
        try:
            while not self._stopping:
                records = self._consumer.consume(MAX_RECORDS, POLL_S)
                for record in records:
                    error = record.error()
                    if error is not None:
                        raise KafkaException(error)
                if records:
                    self._do(records)
        finally:
            self._consumer.close()  # leave the group, so that the others need not wait for a timeout

    def _start_producer(self) -> None:
        self._producer = Producer(self._producer_settings)
        self._producer.init_transactions(CALL_TIMEOUT_S)

    def _do(self, records: list[Message]) -> None:
        """Handle a batch: its results and its offsets are one transaction."""
        # The position of this worker, and its membership of the group: the broker can then refuse a worker
        # whose Kafka partitions another one has received since.
        offsets = self._consumer.position(self._consumer.assignment())
        group = self._consumer.consumer_group_metadata()
        self._producer.begin_transaction()
        try:
            for record in records:
                self._do_one(record)
            self._producer.send_offsets_to_transaction(offsets, group, CALL_TIMEOUT_S)
            self._producer.commit_transaction(CALL_TIMEOUT_S)
        except KafkaException as error:
            # This is normal when workers come and go: nothing of the batch counts, and it is handled again.
            # Other errors end this worker; the next one of its name aborts the transaction, and starts where
            # this one did.
            if not error.args[0].txn_requires_abort():
                raise
            self._producer.abort_transaction(CALL_TIMEOUT_S)
            # Not with the same producer: librdkafka (2.16) may give the sequence numbers of messages without
            # an acknowledgement to the next messages, which brokers then drop as duplicates.
            self._start_producer()
            self._rewind()

    def _do_one(self, record: Message) -> None:
        try:
            task = json.loads(record.value() or b"")
        except ValueError:
            # Only a program that bypasses the tracker can send these. Yours might use a dead-letter topic.
            say(
                self._group,
                f"skipped a message that is not JSON: {record.topic()} at offset {record.offset()}",
            )
            return
        for message in answer(self._handle, task, self._group):
            topic = next_topic(message)
            if topic is not None:
                # Keep the key, `partitionId:jobId`: all messages of a job are then on one Kafka partition,
                # with one worker of the tracker, which is fast.
                self._produce(topic, json.dumps(message).encode(), record.key())

    def _produce(self, topic: str, value: bytes, key: bytes | None) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key)
            except BufferError:  # the producer's queue is full: let it send some
                self._producer.poll(0.1)
            else:
                return

    def _rewind(self) -> None:
        """Go back to the committed offsets."""
        for committed in self._consumer.committed(self._consumer.assignment(), CALL_TIMEOUT_S):
            start = committed.offset if committed.offset >= 0 else OFFSET_BEGINNING
            self._consumer.seek(TopicPartition(committed.topic, committed.partition, start))


def answer(handle: Handler, task: TaskMessage, worker: str) -> list[TaskMessage]:
    """Return the messages that result from a task. One that cannot be done has a result too, which says why.

    For the tracker, both kinds of failure fail the task, and its job. They go to where tracking ends, for the
    programs that read the results.
    """
    try:
        return list(handle(task))
    except (ValueError, KeyError, TypeError) as error:  # the sender made a mistake
        status, text = "INVALID_TASK", f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 - one bad task must not stop the others
        status, text = "RESULT_EXCEPTION", str(error)
    return [result(task, status, text.encode(), worker, track_to(task))]


def arguments(description: str, group: str) -> argparse.ArgumentParser:
    """Return a parser of the arguments of every worker."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--bootstrap-servers", required=True, help="the brokers, as host:port")
    parser.add_argument("--input", required=True, metavar="TOPIC", help="where the tasks are read from")
    parser.add_argument("--group", default=group, help="consumer group (default: %(default)s)")
    parser.add_argument(
        "--name", default="1", help="different for each worker of the group that runs (default: %(default)s)"
    )
    return parser


def run(options: argparse.Namespace, handle: Handler) -> int:
    """Work until SIGTERM or Ctrl-C; return the exit status."""
    worker = TaskWorker(options.bootstrap_servers, options.group, options.name, options.input, handle)
    signal.signal(signal.SIGTERM, worker.stop)
    signal.signal(signal.SIGINT, worker.stop)
    try:
        worker.run()
    except KafkaException as error:
        say(options.group, f"ended, and must be started again: {error.args[0].str()}")
        return 1
    return 0


def say(worker: str, text: str) -> None:
    """Log a line."""
    print(f"{worker}: {text}", file=sys.stderr, flush=True)
