"""Through a PgBouncer in session mode everything works, with its own configuration as without a pooler."""

import asyncio
from contextlib import ExitStack, closing

import psycopg
from psycopg.conninfo import make_conninfo

from tests.support.deployment_fixtures import Deploy
from tests.support.program import Program
from tracker import AsyncClient, Client
from tracker.store import migrate
from tracker.store.connect import connect, connect_by_index
from tracker.store.retention_store import RetentionStore
from tracker.store.schedule_store import ScheduleStore
from tracker.store.slots import BackendIdentity, end_session, identity_of, try_slot

Connection = psycopg.Connection[tuple[object, ...]]
NEEDED = {
    "search_path": "tracker,pg_temp",
    "client_encoding": "UTF8",
    "default_transaction_isolation": "read committed",
    "TimeZone": "UTC",
    "statement_timeout": "5min",
    "lock_timeout": "1min",
    "idle_in_transaction_session_timeout": "2min",
}


def settings_of(connection: Connection, *names: str) -> dict[str, object]:
    return {
        name: connection.execute("SELECT current_setting(%s)", [name]).fetchone()[0]  # type: ignore[index]
        for name in names
    }


def test_every_session_has_what_it_needs(database_url: str) -> None:
    with closing(connect(database_url)) as connection:
        assert settings_of(connection, *NEEDED) == NEEDED
    with closing(connect_by_index(database_url, application_name="test")) as connection:
        by_index = {"enable_seqscan": "off", "plan_cache_mode": "force_custom_plan", "jit": "off"}
        assert settings_of(connection, *NEEDED, *by_index) == NEEDED | by_index
    with closing(ScheduleStore(database_url)) as store:
        store.connect()
        assert settings_of(store._open, *NEEDED) == NEEDED
    with closing(RetentionStore(database_url, ended_s=1, failed_s=1)) as retention:
        retention.connect()  # it never waits long for a lock
        assert settings_of(retention._open, *NEEDED) == NEEDED | {"lock_timeout": "200ms"}
    with Client(database_url) as client, client._pool.get().connection() as connection:
        assert settings_of(connection, *NEEDED) == NEEDED


def test_the_sessions_of_an_asynchronous_client_have_it_too(database_url: str) -> None:
    async def found() -> dict[str, object]:
        async with AsyncClient(database_url) as client, client._pool.connection() as connection:
            settings: dict[str, object] = {}
            for name in NEEDED:
                cursor = await connection.execute("SELECT current_setting(%s)", [name])
                [(settings[name],)] = await cursor.fetchall()
            return settings

    assert asyncio.run(found()) == NEEDED


def test_a_users_options_are_kept(database_url: str) -> None:
    url = make_conninfo(database_url, options="-c lock_timeout=7s --work_mem=5MB -csearch_path=public")
    with closing(connect(url)) as connection:
        wanted = {"lock_timeout": "7s", "work_mem": "5MB", "search_path": "tracker,pg_temp"}
        assert settings_of(connection, *wanted) == wanted


def test_migrate_makes_the_schema_and_nothing_elsewhere(empty_database_url: str) -> None:
    assert migrate.migrate(empty_database_url)
    assert migrate.migrate(empty_database_url) == []
    with closing(connect(empty_database_url)) as connection:
        rows = connection.execute(
            "SELECT DISTINCT schemaname FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        migrate.check_schema(connection)
    assert rows == [("tracker",)]


def test_jobs_go_through_a_whole_tracker(deploy: Deploy) -> None:
    tracker = deploy(TRACKER_RETENTION_S="3600")
    tracker.submit("first")
    tracker.submit("second", "first")
    with Program(tracker.variables) as program:
        tracker.programs = 1
        tracker.wait_until_sent()
        tracker.process(tracker.message("acme:first.1*"))
        tracker.wait_until_sent()
        tracker.process(tracker.message("acme:second.1*"))
        assert program.stop() == 0
    assert tracker.statuses("first", "second") == ["Completed", "Completed"]
    assert tracker.started() == ["acme:first", "acme:second"]


def served_by(session: BackendIdentity, url: str, kept: ExitStack) -> Connection:
    """Connect until the pooler gives this process, which it may still be clearing, and keep the others."""
    for _ in range(15):
        connection = kept.enter_context(closing(connect(url, autocommit=True)))
        if identity_of(connection) == session:
            return connection
    raise AssertionError("the pooler gives the process to nobody")


def test_a_process_that_the_pooler_has_given_to_another_session_is_not_ended(database_url: str) -> None:
    """A supervisor ends its lost session; the pooler has ended it, and its process serves the next."""
    with closing(connect(database_url, autocommit=True)) as lost:
        assert try_slot(lost, group_id="tracker", instance="test", slot=0)
        session = identity_of(lost)
    with ExitStack() as kept:
        next_one = served_by(session, database_url, kept)
        end_session(next_one, session)
        assert try_slot(next_one, group_id="tracker", instance="test", slot=0), (
            "the lock went with the session"
        )
    with ExitStack() as kept:
        another = served_by(session, database_url, kept)
        with closing(connect(database_url, autocommit=True)) as supervisor:
            end_session(supervisor, session)
        another.execute("SELECT 1")
