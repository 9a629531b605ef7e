"""The settings of the ceiling: those with which a pass-through is fastest on the machine of the results.

``python -m bench ceiling`` compares them with others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_CONSUMER: Mapping[str, Any] = {
    "fetch.wait.max.ms": 50,
    "queued.max.messages.kbytes": 131_072,
    "max.partition.fetch.bytes": 4_194_304,
}
_PRODUCER: Mapping[str, Any] = {
    "linger.ms": 20,
    "batch.size": 1_000_000,
    "queue.buffering.max.messages": 1_000_000,
    "queue.buffering.max.kbytes": 1_048_576,
}


@dataclass(frozen=True)
class CeilingSettings:
    """How a process of the ceiling moves records.

    `overlapped`: it consumes a batch while it produces the one before. `records`: at most so many in a batch;
    None: as many as the tracker takes. `consumer` and `producer` are properties of librdkafka.
    """

    overlapped: bool = False
    records: int | None = None
    consumer: Mapping[str, Any] = field(default_factory=lambda: _CONSUMER)
    producer: Mapping[str, Any] = field(default_factory=lambda: _PRODUCER)


SEVERAL_PARTITIONS = CeilingSettings()
ONE_PARTITION = CeilingSettings(overlapped=True, consumer={**_CONSUMER, "fetch.queue.backoff.ms": 5})
"""Where all messages are in one Kafka partition: a single process moves them all.

Once its queue is full, librdkafka would fetch nothing for a second, and no other process would
take its place. In one round of 300,000 messages this setting gave 317,000 messages/s, and not 173,000.
"""
