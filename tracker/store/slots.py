"""Slots: the numbers that make the member IDs and transactional IDs of workers, held by advisory locks.

A slot belongs to a consumer group and an instance. The session that has its lock holds it, so that it is free
again as soon as that session ends, for whatever reason.
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
    """A backend process of PostgreSQL, as other sessions see it."""

    pid: int
    backend_start: datetime


def try_slot(connection: Connection[Any], *, group_id: str, instance: str, slot: int) -> bool:
    """Take a slot for the session of `connection`, and return whether it was free. Never waits.

    Do not call it twice in one session: the second call would return True.
    """
    key = locks.text_key(group_id, instance, str(slot))
    row = connection.execute(query("try_slot_lock"), {"class": locks.SLOT, "key": key}).fetchone()
    return row == (True,)


def identity_of(connection: Connection[Any]) -> BackendIdentity:
    """Return the backend process of `connection`."""
    with connection.cursor(row_factory=class_row(BackendIdentity)) as cursor:
        found = cursor.execute(query("session_identity")).fetchone()
    assert found is not None
    return found


def end_session(connection: Connection[Any], session: BackendIdentity) -> None:
    """End `session`, if it still exists and holds a slot, and wait for up to 5 s until it is gone."""
    parameters = {"pid": session.pid, "backend_start": session.backend_start, "class": locks.SLOT}
    connection.execute(query("end_session"), parameters)
