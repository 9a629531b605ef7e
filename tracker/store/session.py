"""A session with the job store, which reconnects after a loss, and executes named statements."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.errors import ReadOnlySqlTransaction

from tracker.store.arrays import encode
from tracker.store.connect import Conninfo, connect_by_index
from tracker.store.queries import query

_thread = threading.local()


def in_transaction() -> bool:
    """Return whether the calling thread has an open transaction, whose locks others may wait for."""
    return getattr(_thread, "open_transactions", 0) > 0


@contextmanager
def transaction_mark() -> Iterator[None]:
    """Mark a transaction as open: within it, nothing that may take long, such as Kafka, is asked."""
    _thread.open_transactions = getattr(_thread, "open_transactions", 0) + 1
    try:
        yield
    finally:
        _thread.open_transactions -= 1


class Session:
    """One connection at a time, on which every row is reached by index. Do not share it between threads."""

    def __init__(self, conninfo: Conninfo, application_name: str) -> None:
        self._conninfo = conninfo
        self._application_name = application_name
        self._connection: psycopg.Connection[Any] | None = None

    @property
    def is_sound(self) -> bool:
        """Whether there is a connection, and no error has ended it."""
        return self._connection is not None and not self._connection.broken and not self._connection.closed

    def connect(self) -> bool:
        """Connect if there is no sound connection, and return whether there was none: its locks are gone.

        :raises DatabaseUnavailable: no connection is available.
        """
        if self.is_sound:
            return False
        self.close()
        self._connection = connect_by_index(self._conninfo, application_name=self._application_name)
        try:
            self._begin()
        except BaseException:
            self.close()  # otherwise the next call would take it for a session that has begun
            raise
        return True

    def _begin(self) -> None:
        """Set up a new session."""

    def close(self) -> None:
        """Close the connection; PostgreSQL rolls an open transaction back, and releases all locks."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close_if_read_only(self, error: Exception) -> None:
        """Close the connection if a statement failed because the session is read-only.

        If a setting of its role made it so, a session remains read-only until it ends, even after the setting
        was changed back. A new session has the present setting.
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
    """Raise an `OperationalError` if PostgreSQL ends the session in the middle of a COMMIT.

    The answer to COMMIT and the reason of the end then arrive together, and psycopg (3.3) complains that it
    received two results. Whether the transaction was committed is unknown.

    :raises psycopg.OperationalError: PostgreSQL has ended the session.
    """
    try:
        yield
    except psycopg.InternalError as error:
        if error.sqlstate is None:  # PostgreSQL's own internal errors have one
            raise psycopg.OperationalError(f"the session ended at COMMIT: {error}") from error
        raise
