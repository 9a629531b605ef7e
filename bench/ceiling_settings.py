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
    "fetch.queue.backoff.ms": 5,
}
_PRODUCER: Mapping[str, Any] = {
    "linger.ms": 20,
    "batch.size": 500_000,
    "queue.buffering.max.messages": 1_000_000,
    "queue.buffering.max.kbytes": 1_048_576,
}


@dataclass(frozen=True)
class CeilingSettings:
    """How a process of the ceiling moves records.

    `overlapped`: it consumes a batch while it produces the one before. `records`: at most so many in a batch;
    None: as many as the tracker takes. `consumer` and `producer` are properties of librdkafka.
    """

    overlapped: bool = True
    records: int | None = None
    consumer: Mapping[str, Any] = field(default_factory=lambda: _CONSUMER)
    producer: Mapping[str, Any] = field(default_factory=lambda: _PRODUCER)


SEVERAL_PARTITIONS = CeilingSettings()
"""In 600,000 messages, two rounds beside others: 260,000 messages/s at 6.6 µs of CPU for each.

One batch after the other, a `batch.size` of 1,000,000 and librdkafka's own `fetch.queue.backoff.ms`, which
were the ceiling before: 226,000 at 7.3. The machine's noise hides what smaller differences there are.
"""

ONE_PARTITION = CeilingSettings(producer={**_PRODUCER, "batch.size": 1_000_000})
"""Where all messages are in one Kafka partition: a single process moves them all.

Once its queue is full, librdkafka would by default fetch nothing for a second, and no other process would
take its place. In one round of 300,000 messages, `fetch.queue.backoff.ms` gave 317,000 messages/s, and not
173,000.
"""
