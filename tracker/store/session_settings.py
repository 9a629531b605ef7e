"""Gives every session with the job store its settings, and a backend process of PostgreSQL to itself.

Statements set the settings, and read them back. A connection pooler refuses settings that come with the start
of a connection (PgBouncer by default: "unsupported startup parameter: options") or drops them silently
(``ignore_startup_parameters``). A pooler that gives each transaction to another backend process would also
lose advisory locks, prepared statements and notifications: such a session is refused.
"""

import os
import re
import select
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import ExecStatus

from tracker.errors import TrackerError
from tracker.store.queries import query

STATEMENT_TIMEOUT_S = 300  # 100,000 jobs are stored in one or two statements of a few seconds
LOCK_TIMEOUT_S = 60  # a submit waits for about as long for another of the same 1,000,000 jobs
IDLE_IN_TRANSACTION_TIMEOUT_S = 120

NO_SESSION = (
    "a connection pooler between the tracker and PostgreSQL gives one session to several clients (transaction"
    " or statement mode): use its session mode (PgBouncer: pool_mode=session) or connect directly"
)

# A user's own limits take precedence over these.
_LIMITS = {
    "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
    "lock_timeout": f"{LOCK_TIMEOUT_S}s",
    "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_TIMEOUT_S}s",
}

# Correctness depends on these, so they take precedence over the user's own options.
_FIXED = {
    "search_path": "tracker,pg_temp",
    "client_encoding": "UTF8",
    "default_transaction_isolation": "read committed",
    "TimeZone": "UTC",
}

# PostgreSQL accepts these only with the start of a connection.
_ONLY_AT_START = frozenset(
    {
        "ignore_system_indexes",
        "jit_debugging_support",
        "jit_profiling_support",
        "log_connections",
        "log_disconnections",
        "post_auth_delay",
    }
)

# A pooler whose backends are all in use makes the second session wait. It does not share the first one then.
_SECOND_SESSION_S = 2.0


def session_settings(parameters: Mapping[str, object]) -> dict[str, str]:
    """Return the settings of a session: the tracker's, and those in the options of a connection string."""
    from_options, _ = _split_options(parameters)
    fixed = {name.lower() for name in _FIXED}
    return _LIMITS | {name: value for name, value in from_options.items() if name not in fixed} | _FIXED


def start_options(parameters: Mapping[str, object]) -> str:
    """Return the user's options that can only be sent with the start of a connection; usually none."""
    _, rest = _split_options(parameters)
    return rest


def settings_of(conninfo: str) -> dict[str, str]:
    """Return the settings of a session that `conninfo` opens."""
    return session_settings(conninfo_to_dict(conninfo))


def prepare_session(connection: psycopg.Connection[Any], settings: Mapping[str, str]) -> None:
    """Give a session its settings, and check that it keeps them. Ends the transaction.

    After an error it closes the connection: a pool that calls this does not.

    :raises TrackerError: the session does not keep them, or PostgreSQL rejects one of the user's.
    """
    names = list(settings)
    parameters = {"names": names, "values": list(settings.values())}
    try:
        with _rejected_settings():
            set_values = connection.execute(query("set_session"), parameters).fetchall()
        connection.commit()
        [(read_values,)] = connection.execute(query("read_session"), {"names": names}).fetchall()
        connection.commit()
        _require_kept(set_values, read_values)
    except BaseException:
        connection.close()
        raise


async def prepare_session_async(
    connection: psycopg.AsyncConnection[Any], settings: Mapping[str, str]
) -> None:
    """Do the same as `prepare_session`."""
    names = list(settings)
    parameters = {"names": names, "values": list(settings.values())}
    try:
        with _rejected_settings():
            set_values = await (await connection.execute(query("set_session"), parameters)).fetchall()
        await connection.commit()
        [(read_values,)] = await (
            await connection.execute(query("read_session"), {"names": names})
        ).fetchall()
        await connection.commit()
        _require_kept(set_values, read_values)
    except BaseException:
        await connection.close()
        raise


def require_session(connection: psycopg.Connection[Any], conninfo: str) -> None:
    """Check that one backend process of PostgreSQL serves this session alone. Call it before all else.

    A pooler in transaction mode gives a second session the process of the first, which is idle. A pooler also
    hides the process from the client, so if the login named the very process that serves the session, there
    is no pooler, and the check needs no second session.

    :raises TrackerError: several clients share the process.
    :raises psycopg.Error: one of the two sessions is not available.
    """
    pid = _pid(connection)
    if pid == connection.info.backend_pid:
        return
    with psycopg.connect(conninfo, autocommit=True) as second:
        for _ in range(3):  # another client may take the first one's process before it
            if _pid_in_time(second) == pid or _pid(connection) != pid:
                raise TrackerError(NO_SESSION)


def _split_options(parameters: Mapping[str, object]) -> tuple[dict[str, str], str]:
    """Return the settings in the user's options, by name in lower case, and the other options."""
    text = str(parameters.get("options") or os.environ.get("PGOPTIONS", ""))
    # As in PostgreSQL: words end at white space, and a backslash escapes the next character.
    words = [
        re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL)
        for word in re.findall(r"(?:[^\s\\]|\\.)+", text, re.DOTALL)
    ]
    settings: dict[str, str] = {}
    rest = []
    while words:
        word = words.pop(0)
        if word == "-c" and words:
            word = f"-c{words.pop(0)}"
        name, is_setting, value = re.sub(r"^(-c|--)", "", word).partition("=")
        name = name.replace("-", "_").lower()
        if word.startswith(("-c", "--")) and is_setting and name not in _ONLY_AT_START:
            settings[name] = value
        else:
            rest.append(re.sub(r"([\s\\])", r"\\\1", word))
    return settings, " ".join(rest)


def _require_kept(set_values: Sequence[tuple[str, str]], read_values: Sequence[str]) -> None:
    both = zip(set_values, read_values, strict=True)
    lost = [name for (name, value), read in both if value != read]
    if lost:
        raise TrackerError(f"the session has lost {', '.join(lost)} between two statements: {NO_SESSION}")


@contextmanager
def _rejected_settings() -> Iterator[None]:
    """Explain that PostgreSQL rejects a setting, which can only be one of the user's."""
    try:
        yield
    except (errors.UndefinedObject, errors.CantChangeRuntimeParam, errors.InvalidParameterValue) as error:
        reason = error.diag.message_primary or type(error).__name__
        raise TrackerError(f"PostgreSQL rejects a setting in the connection's options: {reason}") from error


def _pid(connection: psycopg.Connection[Any]) -> int:
    [(pid,)] = connection.execute(query("session_pid")).fetchall()
    return int(pid)


def _pid_in_time(connection: psycopg.Connection[Any]) -> int | None:
    """Return the process that serves a session; None if a pooler has none for it in time."""
    link = connection.pgconn
    link.send_query(query("session_pid").as_bytes())
    until = time.monotonic() + _SECOND_SESSION_S
    while link.is_busy():
        readable, _, _ = select.select([link.socket], [], [], max(0.0, until - time.monotonic()))
        if not readable:
            return None
        link.consume_input()
    found = None
    while (result := link.get_result()) is not None:
        if result.status != ExecStatus.TUPLES_OK:
            raise psycopg.OperationalError(result.get_error_message())
        found = int(result.get_value(0, 0) or 0)
    return found
