"""Explains each error of PostgreSQL to a user, in one sentence."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

import psycopg
from psycopg import errors

from tracker.errors import (
    DatabaseReadOnly,
    DatabaseUnavailable,
    SchemaMismatch,
    TrackerError,
    TransactionConflict,
)
from tracker.store.session_settings import NO_SESSION

PASSING = (
    psycopg.OperationalError,
    DatabaseUnavailable,
    TransactionConflict,
    errors.ReadOnlySqlTransaction,
    errors.InsufficientPrivilege,
    errors.IdleInTransactionSessionTimeout,
    errors.TransactionTimeout,
)
"""Errors that end without the program: the server is away, full or read-only, or a right was revoked.

Processes that have work wait until they end, and try again.
"""

_Explanation = tuple[type[TrackerError], str]

# Errors that mean more than the others of their class.
_BY_STATE: Mapping[type[psycopg.Error], _Explanation] = MappingProxyType(
    {
        errors.ReadOnlySqlTransaction: (
            DatabaseReadOnly,
            (
                "PostgreSQL is available, but only for reading ({}): it is a standby, or the role or the"
                " database has default_transaction_read_only"
            ),
        ),
        errors.DuplicatePreparedStatement: (TrackerError, NO_SESSION + " ({})"),
        errors.InvalidSqlStatementName: (TrackerError, NO_SESSION + " ({})"),
        **dict.fromkeys(
            (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName),
            (SchemaMismatch, "the database's schema does not match this program ({}): run 'tracker migrate'"),
        ),
        **dict.fromkeys(
            (errors.LockNotAvailable, errors.QueryCanceled),
            (DatabaseUnavailable, "PostgreSQL did not answer in time: {}"),
        ),
        **dict.fromkeys(
            (errors.IdleInTransactionSessionTimeout, errors.TransactionTimeout),
            (DatabaseUnavailable, "PostgreSQL has ended the session: {}"),
        ),
    }
)

_UNAVAILABLE = (DatabaseUnavailable, "PostgreSQL is not available: {}")
_NOT_NOW = (DatabaseUnavailable, "PostgreSQL cannot do it now: {}")
_REJECTED = (TrackerError, "PostgreSQL rejects it: {}")
_FAILED = (TrackerError, "PostgreSQL has failed; its log says more: {}")

# By the first two characters of the SQLSTATE.
_BY_CLASS: Mapping[str, _Explanation] = MappingProxyType(
    {
        "08": _UNAVAILABLE,
        "57": _UNAVAILABLE,
        "53": _NOT_NOW,  # no connections, disk or memory left
        "55": _NOT_NOW,  # objects that are in use
        "58": _NOT_NOW,  # an error of the operating system
        "28": (DatabaseUnavailable, "PostgreSQL refuses the login: {}"),
        "40": (TransactionConflict, "other transactions conflicted with this one; try again later ({})"),
        "22": _REJECTED,
        "23": _REJECTED,
        "44": _REJECTED,
        "54": _REJECTED,
        "F0": _FAILED,
        "XX": _FAILED,
    }
)


@contextmanager
def database_errors() -> Iterator[None]:
    """Raise errors of the database as a `TrackerError` of one sentence."""
    try:
        yield
    except psycopg.Error as error:
        raise explain(error) from error


# psycopg raises the last if a session is ended in the middle of a COMMIT, which then has two results.
_WITHOUT_STATE = psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError


def explain(error: psycopg.Error) -> TrackerError:
    """Return the error that a user sees instead of `error`."""
    reason, code = one_line(error), error.sqlstate or ""
    if isinstance(error, errors.InsufficientPrivilege):
        return TrackerError(f"PostgreSQL does not allow it: {reason}{_remedy(reason)}")
    kind, text = _BY_STATE.get(type(error)) or _BY_CLASS.get(code[:2]) or (TrackerError, "")
    # An error before the end of the login, or in libpq, has no SQLSTATE.
    if not code and isinstance(error, _WITHOUT_STATE):
        kind, text = _UNAVAILABLE
    text = text or f"PostgreSQL refuses what the tracker asks: {{}}{f' (SQLSTATE {code})' if code else ''}"
    return kind(text.format(reason))


def one_line(error: psycopg.Error) -> str:
    """Return the first line of the error, without advice for experts. libpq puts no password into it."""
    primary = error.diag.message_primary or str(error)
    return primary.strip().partition("\n")[0].rstrip(".") or type(error).__name__


def _remedy(reason: str) -> str:
    """Say how a role gets missing rights on the schema, unless they are rights on the database itself."""
    lacks_grant = reason.startswith("permission denied for ") and "database" not in reason
    return "; 'tracker migrate --grant-run ROLE' (or --grant-read) gives a role what it needs" * lacks_grant
