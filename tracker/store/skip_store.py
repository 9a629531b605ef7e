"""Records that cannot be received, and are to be stepped over."""

from typing import NamedTuple

from tracker.store.connect import connected
from tracker.store.explain import database_errors
from tracker.store.queries import query


class Skip(NamedTuple):
    """Offsets of a Kafka partition, from `first_offset` to before `next_offset`, and why."""

    topic: str
    kafka_partition: int
    first_offset: int
    next_offset: int
    reason: str


def request_skip(conninfo: str, skip: Skip) -> None:
    """Have the worker that has the Kafka partition step over them.

    :raises TrackerError: the database cannot be reached, or its schema is another's.
    """
    with database_errors(), connected(conninfo, application_name="tracker adopt") as connection:
        connection.execute(query("request_skip"), skip._asdict())


def read_skips(conninfo: str) -> list[Skip]:
    """Return what is to be stepped over, and forget what has been.

    :raises TrackerError: the database cannot be reached, or its schema is another's.
    """
    with database_errors(), connected(conninfo, application_name="tracker skips") as connection:
        connection.execute(query("remove_done_skips"))
        return [Skip(*row) for row in connection.execute(query("read_skips")).fetchall()]  # type: ignore[arg-type]
