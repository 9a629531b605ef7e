"""Slots: the numbers that make the member IDs and transactional IDs of workers, held by advisory locks.

A slot belongs to a consumer group and an instance, and to the session that has its lock, so that it is free
again as soon as that session ends, in whatever way.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from tracker.store import locks
from tracker.store.queries import query


@dataclass(frozen=True, slots=True)
class BackendIdentity:
    """A process of PostgreSQL, as other sessions see it."""

    pid: int
    backend_start: datetime


def try_slot(connection: Connection[Any], *, group_id: str, instance: str, slot: int) -> bool:
    """Take a slot for the session of `connection`, and tell whether it could be had. Never waits.

    The same session must not ask twice: it would be told yes.
    """
    key = locks.text_key(group_id, instance, str(slot))
    row = connection.execute(query("try_slot_lock"), {"class": locks.SLOT, "key": key}).fetchone()
    return row == (True,)


def identity_of(connection: Connection[Any]) -> BackendIdentity:
    """Return the session of `connection`."""
    with connection.cursor(row_factory=class_row(BackendIdentity)) as cursor:
        found = cursor.execute(query("session_identity")).fetchone()
    assert found is not None
    return found


def end_session(connection: Connection[Any], session: BackendIdentity) -> None:
    """End `session`, if it is still there and holds a slot, and wait up to 5 s until it is gone."""
    parameters = {"pid": session.pid, "backend_start": session.backend_start, "class": locks.SLOT}
    connection.execute(query("end_session"), parameters)
