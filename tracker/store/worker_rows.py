"""What worker processes do, as their supervisors tell the database."""

import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import psycopg
from psycopg.types.json import Jsonb

from tracker import __version__
from tracker.logs import get_logger
from tracker.store.connect import Connection
from tracker.store.queries import query

log = get_logger()


@dataclass(frozen=True, slots=True)
class WorkerActivity:
    """What one worker process does.

    `detail`: what it waits for; empty: nothing. `idle_s`: how long ago it finished something; None: nothing
    yet. `stage_seconds`: for each stage, how long batches were in it, in a second. `kafka_partitions`: what
    it reads, as (topic, number, age in seconds of the oldest record that is not committed).
    """

    slot: int
    ready: bool
    detail: str
    idle_s: float | None
    records_per_second: float
    stage_seconds: Mapping[str, float]
    kafka_partitions: Sequence[tuple[str, int, float]]


def write_workers(
    connection: Connection, member_ids: Mapping[int, str], activities: Iterable[WorkerActivity]
) -> None:
    """Write the rows of a supervisor's workers; `member_ids` are those of the slots.

    Nothing depends on these rows: without a right, on a standby, or if a lock is not free in time, they are
    left as they are.

    :raises psycopg.Error: the connection is lost.
    """
    about = {"host": socket.gethostname(), "version": __version__}
    rows = [asdict(each) | about | {"member_id": member_ids[each.slot]} for each in activities]
    if rows:
        _execute(connection, "write_workers", {"workers": Jsonb(rows)})


def remove_workers(connection: Connection, member_ids: Iterable[str]) -> None:
    """Remove the rows of workers that have stopped, as `write_workers` writes them.

    :raises psycopg.Error: the connection is lost.
    """
    _execute(connection, "remove_workers", {"member_ids": list(member_ids)})


def _execute(connection: Connection, name: str, parameters: Mapping[str, object]) -> None:
    try:
        connection.execute(query(name), parameters)
    except psycopg.Error as error:
        if connection.closed or connection.broken:
            raise
        log.debug("what the workers do is not written", error=str(error).partition("\n")[0])
