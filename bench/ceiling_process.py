"""A process of the ceiling: it consumes, produces and commits, exactly once, and does nothing else.

It runs as ``python -m bench.ceiling_process`` and reads its settings from stdin, as a line of JSON. It prints
"ready" to stdout, and ends when stdin does.
"""

import gc
import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, Message, Producer, TopicPartition

_CALL_TIMEOUT_S = 30.0


class PassThrough:
    """Moves batches from its share of the Kafka partitions to the destination."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._batch_size: int = settings["batch_size"]
        self._destination: str = settings["destination"]
        self._eager: bool = settings["eager"]
        self._overlapped: bool = settings["overlapped"]
        self._consumer = Consumer(
            {
                **settings["clients"],
                "group.id": settings["group_id"],
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                **settings["consumer"],
            }
        )
        self._producer = Producer(
            {
                **settings["clients"],
                "transactional.id": f"{settings['group_id']}-{settings['slot']}",
                "retry.backoff.ms": 1,
                "delivery.report.only.error": True,
                "partitioner": "murmur2_random",
                **settings["producer"],
            }
        )
        self._producer.init_transactions(_CALL_TIMEOUT_S)
        # Each process has a fixed share of the Kafka partitions: a ceiling needs no rebalances.
        self._share = [
            TopicPartition(settings["topic"], number, 0)
            for number in range(settings["slot"], settings["kafka_partitions"], settings["processes"])
        ]
        self._consumer.assign(self._share)

    def run(self) -> None:
        """Move batches until the process is killed."""
        if self._overlapped:
            self._run_overlapped()
        while True:
            self._publish(*self._next_batch())

    def _run_overlapped(self) -> None:
        """Consume a batch while another thread produces the one before."""
        batches: queue.Queue[tuple[list[Message], list[TopicPartition], Any]] = queue.Queue(1)

        def publish() -> None:
            while True:
                self._publish(*batches.get())

        threading.Thread(target=_or_die, args=(publish,), daemon=True).start()
        while True:
            batches.put(self._next_batch())

    def _next_batch(self) -> tuple[list[Message], list[TopicPartition], Any]:
        """Return records, the offsets after them, and the group's metadata."""
        while True:
            if not self._eager:
                records = self._consumer.consume(self._batch_size, 0.1)
            else:
                first = self._consumer.poll(0.1)
                records = [] if first is None else [first, *self._consumer.consume(self._batch_size - 1, 0)]
            if records:
                offsets = self._consumer.position(self._share)
                return records, offsets, self._consumer.consumer_group_metadata()

    def _publish(self, records: list[Message], offsets: list[TopicPartition], metadata: Any) -> None:
        producer, destination = self._producer, self._destination
        producer.begin_transaction()
        produce = producer.produce
        for record in records:
            headers = record.headers()
            if headers:
                produce(destination, record.value(), record.key(), headers=headers)
            else:
                produce(destination, record.value(), record.key())
        producer.send_offsets_to_transaction(offsets, metadata, _CALL_TIMEOUT_S)
        producer.commit_transaction(_CALL_TIMEOUT_S)


def _or_die(run: Callable[[], None]) -> None:
    """Run until the process is killed; an error ends the process, and not only its thread."""
    try:
        run()
    except BaseException:  # noqa: BLE001 - whatever it is
        traceback.print_exc()
        os._exit(1)


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Read the settings, and move batches until the process is killed."""
    settings = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    gc.disable()  # as fast as it can be: nothing here makes cycles
    pass_through = PassThrough(settings)
    print("ready", flush=True)
    pass_through.run()


if __name__ == "__main__":
    main()
