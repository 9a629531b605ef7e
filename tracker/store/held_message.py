"""A message that is held while its job is paused."""

from typing import NamedTuple


class HeldMessage(NamedTuple):
    """The message to send when the job is resumed, and where it was read."""

    destination: str
    key: bytes | None
    value: bytes
    headers: bytes | None  # msgpack
    source_topic: str
    source_kafka_partition: int
    source_offset: int
    source_time_ms: int
