"""What every session with the job store has: settings of its own, and a process of PostgreSQL to itself.

The settings are set by statements and read back. A connection pooler refuses those that come with the start
of a connection (PgBouncer by default: "unsupported startup parameter: options") or drops them without a word
(``ignore_startup_parameters``). One that gives each transaction to another process of PostgreSQL would also
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

STATEMENT_TIMEOUT_S = 300  # 100,000 jobs are stored in one statement or two of a few seconds
LOCK_TIMEOUT_S = 60  # a submit of the same 1,000,000 jobs waits for about that long
IDLE_IN_TRANSACTION_TIMEOUT_S = 120

NO_SESSION = (
    "a connection pooler between the tracker and PostgreSQL gives one session to several clients (transaction"
    " or statement mode): use its session mode (PgBouncer: pool_mode=session) or connect directly"
)

# A user's time limits win over these.
_LIMITS = {
    "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
    "lock_timeout": f"{LOCK_TIMEOUT_S}s",
    "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_TIMEOUT_S}s",
}

# What is right rests on these, so they win over the user's own options.
_FIXED = {
    "search_path": "tracker,pg_temp",
    "client_encoding": "UTF8",
    "default_transaction_isolation": "read committed",
    "TimeZone": "UTC",
}

# PostgreSQL takes these only with the start of a connection.
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

# A pooler whose servers are all in use lets the second session wait. It does not share the first one then.
_SECOND_SESSION_S = 2.0


def session_settings(given: Mapping[str, object]) -> dict[str, str]:
    """Return the settings of a session: ours, and those in the options of a connection string."""
    users, _ = _split_options(given)
    fixed = {name.lower() for name in _FIXED}
    return _LIMITS | {name: value for name, value in users.items() if name not in fixed} | _FIXED


def start_options(given: Mapping[str, object]) -> str:
    """Return what of the user's options can only be sent with the start of a connection; usually nothing."""
    _, rest = _split_options(given)
    return rest


def settings_of(conninfo: str) -> dict[str, str]:
    """Return the settings of a session with the database that `conninfo` names."""
    return session_settings(conninfo_to_dict(conninfo))


def prepare_session(connection: psycopg.Connection[Any], settings: Mapping[str, str]) -> None:
    """Give a session its settings and make sure that it keeps them. Ends the transaction.

    Closes the connection where that fails: a pool that calls this forgets it.

    :raises TrackerError: it does not keep them, or PostgreSQL does not know one of the user's.
    """
    names = list(settings)
    parameters = {"names": names, "values": list(settings.values())}
    try:
        with _settings_of_users():
            made = connection.execute(query("set_session"), parameters).fetchall()
        connection.commit()
        [(kept,)] = connection.execute(query("read_session"), {"names": names}).fetchall()
        connection.commit()
        _require_kept(made, kept)
    except BaseException:
        connection.close()
        raise


async def prepare_session_async(
    connection: psycopg.AsyncConnection[Any], settings: Mapping[str, str]
) -> None:
    """Do what `prepare_session` does."""
    names = list(settings)
    parameters = {"names": names, "values": list(settings.values())}
    try:
        with _settings_of_users():
            made = await (await connection.execute(query("set_session"), parameters)).fetchall()
        await connection.commit()
        [(kept,)] = await (await connection.execute(query("read_session"), {"names": names})).fetchall()
        await connection.commit()
        _require_kept(made, kept)
    except BaseException:
        await connection.close()
        raise


def require_session(connection: psycopg.Connection[Any], conninfo: str) -> None:
    """Make sure that one process of PostgreSQL serves this session, and no other. Call it before all else.

    A pooler in transaction mode gives a second session the process of the first, which is idle. A pooler
    hides the process from the client, so where the login named the very process that serves, there is none
    between, and no second session is needed.

    :raises TrackerError: several clients share the process.
    :raises psycopg.Error: one of the two sessions cannot be had.
    """
    pid = _pid(connection)
    if pid == connection.info.backend_pid:
        return
    with psycopg.connect(conninfo, autocommit=True) as second:
        for _ in range(3):  # others may be quicker to take the first one's process
            if _pid_in_time(second) == pid or _pid(connection) != pid:
                raise TrackerError(NO_SESSION)


def _split_options(given: Mapping[str, object]) -> tuple[dict[str, str], str]:
    """Return the settings in the user's options, by name in small letters, and the other options."""
    text = str(given.get("options") or os.environ.get("PGOPTIONS", ""))
    # As PostgreSQL does it: words end at white space, and a backslash takes the next character as it is.
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


def _require_kept(made: Sequence[tuple[str, str]], kept: Sequence[str]) -> None:
    lost = [name for (name, value), found in zip(made, kept, strict=True) if value != found]
    if lost:
        raise TrackerError(f"the session has lost {', '.join(lost)} between two statements: {NO_SESSION}")


@contextmanager
def _settings_of_users() -> Iterator[None]:
    """Say that PostgreSQL does not take a setting, which can only be one of the user's."""
    try:
        yield
    except (errors.UndefinedObject, errors.CantChangeRuntimeParam, errors.InvalidParameterValue) as error:
        reason = error.diag.message_primary or type(error).__name__
        raise TrackerError(
            f"PostgreSQL does not take a setting of the connection's options: {reason}"
        ) from error


def _pid(connection: psycopg.Connection[Any]) -> int:
    [(pid,)] = connection.execute(query("session_pid")).fetchall()
    return int(pid)


def _pid_in_time(connection: psycopg.Connection[Any]) -> int | None:
    """Return which process serves a session; None where a pooler has none for it for a while."""
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
