"""Faults of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import psycopg

from tests.faults.registry import fault, needs

if TYPE_CHECKING:
    from tests.faults.fault_injector import FaultInjector


@contextmanager
def admin(injector: FaultInjector) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """Open a session that can write although the default is read-only.

    :raises psycopg.OperationalError: another fault has stopped PostgreSQL.
    """
    url = injector.cluster.stack.database_url
    options = "-c default_transaction_read_only=off"
    database = psycopg.connect(url, autocommit=True, options=options)
    try:
        yield database
    finally:
        database.close()


@fault
def postgres_ended_at_once(injector: FaultInjector) -> Iterator[None]:
    postgres = injector.cluster.stack.postgres
    assert postgres is not None
    postgres.kill()
    yield
    postgres.start()


@needs(lambda a_round: a_round.pooler)
@fault
def the_pooler_ended_at_once(injector: FaultInjector) -> Iterator[None]:
    pooler = injector.cluster.pooler
    assert pooler is not None
    pooler.kill()
    yield
    pooler.start()


@fault
def sessions_terminated(injector: FaultInjector) -> Iterator[None]:
    with admin(injector) as database:
        sessions = database.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'tracker%'"
            " ORDER BY application_name, backend_start"
        ).fetchall()
        for (pid,) in sessions:
            if injector.random.random() < 0.7:
                database.execute("SELECT pg_terminate_backend(%s)", [pid])
    yield


@fault
def no_connections_left(injector: FaultInjector) -> Iterator[None]:
    with admin(injector) as database, ExitStack() as taken:
        with suppress(psycopg.OperationalError):
            while True:
                taken.callback(psycopg.connect(injector.cluster.stack.database_url).close)
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'tracker-%'"
        )
        with suppress(psycopg.OperationalError):
            while True:
                taken.callback(psycopg.connect(injector.cluster.stack.database_url).close)
        yield


@fault
def read_only(injector: FaultInjector) -> Iterator[None]:
    with admin(injector) as database:
        database.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        database.execute("SELECT pg_reload_conf()")
    yield
    while True:
        with suppress(psycopg.OperationalError), admin(injector) as database:
            database.execute("ALTER SYSTEM RESET default_transaction_read_only")
            database.execute("SELECT pg_reload_conf()")
            return
