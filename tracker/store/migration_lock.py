"""The lock under which one program at a time migrates the schema, or grants rights on it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from tracker.store import locks
from tracker.store.queries import query

_PAUSE_S = 0.1


@contextmanager
def migration_lock(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Wait until no other program migrates or grants, and lock both out until the end.

    `connection` is in autocommit mode. The lock is tried and not waited for: a statement that waits has a
    snapshot, and an index that is built concurrently waits until all older snapshots are gone.
    """
    while not connection.execute(query("try_migration_lock"), {"class": locks.MIGRATION}).fetchall()[0][0]:
        time.sleep(_PAUSE_S)
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute(query("release_migration_lock"), {"class": locks.MIGRATION})
