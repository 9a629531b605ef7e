"""A record, as tests make and read them."""

from typing import NamedTuple

Headers = tuple[tuple[str, bytes | None], ...]


class Record(NamedTuple):
    """A record, as read from Kafka."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
