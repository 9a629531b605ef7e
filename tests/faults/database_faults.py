"""What befalls PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import psycopg

from tests.faults.registry import fault, needs

if TYPE_CHECKING:
    from tests.faults.weather import Weather


@contextmanager
def admin(weather: Weather) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A session that does not care about read-only; none where PostgreSQL is down on purpose."""
    url = weather.site.stack.database_url
    options = "-c default_transaction_read_only=off"
    database = psycopg.connect(url, autocommit=True, options=options)
    try:
        yield database
    finally:
        database.close()


@fault
def postgres_ended_at_once(weather: Weather) -> Iterator[None]:
    postgres = weather.site.stack.postgres
    assert postgres is not None
    postgres.kill()
    yield
    postgres.start()


@needs(lambda a_round: a_round.pooler)
@fault
def the_pooler_ended_at_once(weather: Weather) -> Iterator[None]:
    pooler = weather.site.pooler
    assert pooler is not None
    pooler.kill()
    yield
    pooler.start()


@fault
def sessions_terminated(weather: Weather) -> Iterator[None]:
    with admin(weather) as database:
        sessions = database.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'tracker%'"
            " ORDER BY application_name, backend_start"
        ).fetchall()
        for (pid,) in sessions:
            if weather.random.random() < 0.7:
                database.execute("SELECT pg_terminate_backend(%s)", [pid])
    yield


@fault
def no_connections_left(weather: Weather) -> Iterator[None]:
    with admin(weather) as database, ExitStack() as taken:
        with suppress(psycopg.OperationalError):
            while True:
                taken.callback(psycopg.connect(weather.site.stack.database_url).close)
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'tracker-%'"
        )
        with suppress(psycopg.OperationalError):
            while True:
                taken.callback(psycopg.connect(weather.site.stack.database_url).close)
        yield


@fault
def read_only(weather: Weather) -> Iterator[None]:
    with admin(weather) as database:
        database.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        database.execute("SELECT pg_reload_conf()")
    yield
    while True:
        with suppress(psycopg.OperationalError), admin(weather) as database:
            database.execute("ALTER SYSTEM RESET default_transaction_read_only")
            database.execute("SELECT pg_reload_conf()")
            return
