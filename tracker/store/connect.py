"""Connections to the job store, all with the same settings."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tracker.errors import DatabaseUnavailable
from tracker.store.explain import database_errors
from tracker.store.session_settings import prepare_session, require_session, settings_of, start_options

CONNECT_TIMEOUT_S = 10

# They detect an unreachable peer, after a network cut, in half a minute and not in the hours that TCP allows.
_NETWORK_LIMITS = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,  # milliseconds
}

# For sessions in which all statements go from a batch's keys to rows by index. The planner must not rely on
# the statistics of a table: a table of forty rows may have a million a second later, long before it is
# analysed. Measured with such statistics: to look up 2,000 jobs and all jobs downstream of them took minutes.
_BY_INDEX = {
    "plan_cache_mode": "force_custom_plan",  # with the present size of the tables; 0.5 ms a batch
    "join_collapse_limit": "1",  # in the order in which the statement names the tables
    "from_collapse_limit": "1",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_material": "off",
    # Rows cost much, pages little: by the usual costs ten rows are as cheap as one, and ten may be a million.
    "random_page_cost": "0.01",
    "seq_page_cost": "0.01",
    "cpu_operator_cost": "0.0001",
    "jit": "off",  # a plan that must read a whole table has a cost, even for one row, that would start it
}

Connection: TypeAlias = psycopg.Connection[Any]
"""A connection to the job store."""

Conninfo = str | Callable[[], str]
"""A connection string, or a function that returns it for each new connection: files of secrets change."""


def store_conninfo(conninfo: str, *, application_name: str = "tracker") -> str:
    """Return `conninfo` with the parameters that every connection to the job store has.

    The settings of the session are not among them: statements set those (`tracker.store.session_settings`).
    An application name that `conninfo` or a ``PG*`` variable sets is kept.

    :raises DatabaseUnavailable: `conninfo` is not a libpq URI or keyword string.
    """
    try:
        given = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:  # its text may repeat a password
        raise DatabaseUnavailable(
            "the database URL is neither a postgresql:// URI nor key=value pairs"
        ) from None
    given["options"] = start_options(given)  # even if empty: libpq would take PGOPTIONS instead
    if "PGAPPNAME" not in os.environ:
        given.setdefault("application_name", application_name)
    if "PGCONNECT_TIMEOUT" not in os.environ:
        given.setdefault("connect_timeout", CONNECT_TIMEOUT_S)
    for name, value in _NETWORK_LIMITS.items():
        given.setdefault(name, value)
    return make_conninfo("", **given)


def connect_by_index(conninfo: Conninfo, *, application_name: str) -> psycopg.Connection[tuple[object, ...]]:
    """Open a connection, in autocommit mode, on which statements reach every row by index.

    Tables are joined in the order in which a statement names them, by nested loops. Do not join two sets of
    rows that have no index.

    :raises DatabaseUnavailable: no connection is available.
    :raises TrackerError: the connection has no session of its own.
    """
    connection = connect(conninfo, application_name=application_name, autocommit=True)
    with database_errors(), _closed_on_error(connection):
        prepare_session(connection, _BY_INDEX)
        # Kafka's offsets move past what is committed here, so a crash of PostgreSQL must not lose it.
        # Stricter levels, for standbys, remain.
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') = 'off'"
        )
    return connection


def connect(
    conninfo: Conninfo, *, application_name: str = "tracker", autocommit: bool = False
) -> psycopg.Connection[tuple[object, ...]]:
    """Open a connection to the job store.

    :raises DatabaseUnavailable: no connection is available; the text says where and why, without secrets.
    :raises TrackerError: the connection has no session of its own, or PostgreSQL rejects one of the user's
        options.
    """
    conninfo = conninfo if isinstance(conninfo, str) else conninfo()
    prepared = store_conninfo(conninfo, application_name=application_name)
    with database_errors():
        connection = psycopg.connect(prepared, autocommit=True)
        with _closed_on_error(connection):
            require_session(connection, prepared)
            prepare_session(connection, settings_of(conninfo))
            connection.autocommit = autocommit
            return connection


@contextmanager
def connected(
    conninfo: Conninfo, *, application_name: str = "tracker", autocommit: bool = False
) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """Open a connection as `connect` does; at the end commit, or roll back after an error, and close it.

    A connection's own ``with`` leaves it open if the COMMIT fails.
    """
    connection = connect(conninfo, application_name=application_name, autocommit=autocommit)
    with closing(connection), connection:
        yield connection


@contextmanager
def _closed_on_error(connection: psycopg.Connection[tuple[object, ...]]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise
