"""A session with the job store, begun anew where it is lost, and the named statements that run in it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.errors import ReadOnlySqlTransaction

from tracker.store.arrays import encode
from tracker.store.connect import Conninfo, connect_by_index
from tracker.store.queries import query

_open_here = threading.local()


def in_transaction() -> bool:
    """Tell whether the calling thread has a transaction open, for whose locks others may wait."""
    return getattr(_open_here, "count", 0) > 0


@contextmanager
def transaction_mark() -> Iterator[None]:
    """Mark that a transaction is open: nothing that may take long, such as Kafka, is asked within it."""
    _open_here.count = getattr(_open_here, "count", 0) + 1
    try:
        yield
    finally:
        _open_here.count -= 1


class Session:
    """One connection at a time, on which every row is reached by index. Not for several threads at once."""

    def __init__(self, conninfo: Conninfo, application_name: str) -> None:
        self._conninfo = conninfo
        self._application_name = application_name
        self._connection: psycopg.Connection[Any] | None = None

    @property
    def is_sound(self) -> bool:
        """Whether there is a connection, and none of its errors has ended it."""
        return self._connection is not None and not self._connection.broken and not self._connection.closed

    def connect(self) -> bool:
        """Connect where there is no sound connection; return whether that was so: its locks are gone.

        :raises DatabaseUnavailable: it cannot be had.
        """
        if self.is_sound:
            return False
        self.close()
        self._connection = connect_by_index(self._conninfo, application_name=self._application_name)
        try:
            self._begin()
        except BaseException:
            self.close()  # or the next call would take it for one that has begun
            raise
        return True

    def _begin(self) -> None:
        """Do what belongs to each new session."""

    def close(self) -> None:
        """Close the connection; a transaction that is open is rolled back, and its locks are let go of."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close_if_read_only(self, error: Exception) -> None:
        """Close the connection where a statement failed because the session may only read.

        Where its role's setting made it so, a session stays so for as long as it lasts, even though the
        setting has been changed back. A new one has the setting of now.
        """
        if isinstance(error, ReadOnlySqlTransaction):
            self.close()

    @property
    def _open(self) -> "psycopg.Connection[Any]":
        if self._connection is None:
            raise psycopg.OperationalError("not connected")
        return self._connection

    def _execute(self, name: str, **parameters: object) -> "psycopg.Cursor[Any]":
        return self._open.execute(query(name), encode(name, parameters), prepare=True, binary=True)


@contextmanager
def ended_at_commit() -> Iterator[None]:
    """Say that the session is lost where PostgreSQL ended it in the middle of a COMMIT.

    The answer to COMMIT and the reason of the end then come together, and psycopg (3.3) says that it received
    two results. Whether it was committed is not known.

    :raises psycopg.OperationalError: it was so.
    """
    try:
        yield
    except psycopg.InternalError as error:
        if error.sqlstate is None:  # PostgreSQL's own have one
            raise psycopg.OperationalError(f"the session ended at COMMIT: {error}") from error
        raise
