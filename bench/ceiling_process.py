"""A process of the ceiling: it consumes, produces and commits, exactly once, and does nothing else.

It runs as ``python -m bench.ceiling_process`` and reads its settings from stdin, as a line of JSON. It prints
"ready" to stdout, and ends when stdin does.
"""

import gc
import json
import os
import sys
import threading
from typing import Any

from confluent_kafka import Consumer, Message, Producer, TopicPartition

_CALL_TIMEOUT_S = 30.0


def main(settings: dict[str, Any]) -> None:
    """Move batches until the process is killed."""
    gc.disable()  # as fast as it can be: nothing here makes cycles
    consumer = Consumer(
        {
            **settings["clients"],
            "group.id": settings["group_id"],
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
            "queued.max.messages.kbytes": 131_072,
            "max.partition.fetch.bytes": 4_194_304,
        }
    )
    producer = Producer(
        {
            **settings["clients"],
            "transactional.id": f"{settings['group_id']}-{settings['slot']}",
            "linger.ms": 20,
            "batch.size": 1_000_000,
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 1_048_576,
            "retry.backoff.ms": 1,
            "delivery.report.only.error": True,
            "partitioner": "murmur2_random",
        }
    )
    producer.init_transactions(_CALL_TIMEOUT_S)
    # Each process has a fixed share of the Kafka partitions: a ceiling needs no rebalances.
    share = [
        TopicPartition(settings["topic"], number, 0)
        for number in range(settings["slot"], settings["kafka_partitions"], settings["processes"])
    ]
    consumer.assign(share)
    print("ready", flush=True)
    while True:
        records = _next_batch(consumer, settings["batch_size"], eager=settings["eager"])
        if not records:
            continue
        producer.begin_transaction()
        produce, destination = producer.produce, settings["destination"]
        for record in records:
            produce(destination, record.value(), record.key())
        producer.send_offsets_to_transaction(
            consumer.position(share), consumer.consumer_group_metadata(), _CALL_TIMEOUT_S
        )
        producer.commit_transaction(_CALL_TIMEOUT_S)


def _next_batch(consumer: Consumer, batch_size: int, *, eager: bool) -> list[Message]:
    if not eager:
        return consumer.consume(batch_size, 0.1)
    first = consumer.poll(0.1)
    return [] if first is None else [first, *consumer.consume(batch_size - 1, 0)]


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    given = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    main(given)
