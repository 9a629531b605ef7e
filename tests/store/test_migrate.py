"""Migrations: each applied once, in one piece, and a database of another version refused."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.store.more_migrations import ALL, follow
from tracker import __version__
from tracker.errors import DatabaseUnavailable, SchemaMismatch, TrackerError
from tracker.stack.lifetime import wait_until
from tracker.store import migrate
from tracker.store.connect import connect
from tracker.store.migrate import check_schema, checksum, known_migrations


def check(url: str) -> None:
    with closing(connect(url)) as connection:
        check_schema(connection)


def test_a_new_database_gets_all_migrations_and_a_second_run_does_nothing(empty_database_url: str) -> None:
    assert migrate.migrate(empty_database_url) == ALL
    assert migrate.migrate(empty_database_url) == []
    check(empty_database_url)


def test_of_several_runs_at_once_one_applies_each_migration(empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        applied = list(threads.map(migrate.migrate, [empty_database_url] * 4))
    assert sorted(name for names in applied for name in names) == ALL
    check(empty_database_url)


def test_tables_are_made_in_the_schema_whatever_the_session_has_for_a_path(empty_database_url: str) -> None:
    url = make_conninfo(empty_database_url, options="-c search_path=public")
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        while migrate._apply_next(connection, lambda _name: None):
            pass
        rows = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert rows == [(0,)]


def test_status_shows_what_is_missing(empty_database_url: str) -> None:
    assert [state.applied_time for state in migrate.status(empty_database_url)] == [None] * len(ALL)
    migrate.migrate(empty_database_url)
    states = migrate.status(empty_database_url)
    assert [f"{state.version:04d}_{state.name}" for state in states] == ALL
    assert all(state.applied_time is not None for state in states)


def test_a_database_without_schema_is_refused(empty_database_url: str) -> None:
    with pytest.raises(SchemaMismatch, match="run 'tracker migrate'"):
        check(empty_database_url)


def test_an_older_schema_is_refused_and_says_how_to_upgrade(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(monkeypatch, "SELECT 1")
    with pytest.raises(SchemaMismatch, match=r"older than this program.*run 'tracker migrate'"):
        check(database_url)


def test_a_newer_schema_is_refused_by_run_and_migrate(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        follow(newer, "CREATE TABLE newer ()")
        assert migrate.migrate(database_url) == [f"{len(ALL) + 1:04d}_more_1"]
    for refusing in (check, migrate.migrate):
        with pytest.raises(SchemaMismatch, match=r"newer than this program.*upgrade the program"):
            refusing(database_url)


@pytest.mark.parametrize("oldest", ["0.2.0", __version__])
def test_a_newer_schema_that_names_this_version_or_an_older_one_is_accepted(
    database_url: str, monkeypatch: pytest.MonkeyPatch, oldest: str
) -> None:
    with monkeypatch.context() as newer:
        follow(newer, f"-- Works with programs from {oldest} on.\nCREATE TABLE newer ()")
        migrate.migrate(database_url)
    check(database_url)
    assert migrate.migrate(database_url) == []


def test_a_newer_schema_that_names_a_later_version_is_refused(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    major = int(__version__.split(".")[0])
    with monkeypatch.context() as newer:
        follow(
            newer,
            f"-- Works with programs from {major + 1}.0.0 on.\nCREATE TABLE newer ()",
            f"-- Works with programs from {__version__} on.\nCREATE TABLE newest ()",
        )
        migrate.migrate(database_url)
    for refusing in (check, migrate.migrate):
        with pytest.raises(SchemaMismatch, match=rf"needs version {major + 1}\.0\.0, this is version"):
            refusing(database_url)


def test_every_migration_from_the_third_on_names_a_program_that_is_not_newer_than_this_one() -> None:
    named = {migration.version: migration.oldest_program for migration in known_migrations()}
    assert named.pop(1) is named.pop(2) is None  # 0.1.0 refuses whatever it does not know
    for oldest in named.values():
        assert oldest is not None
        assert (0, 2, 0) <= migrate._version(oldest) <= migrate._version(__version__)


def test_a_database_of_the_first_release_is_upgraded(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its table of migrations has no column for the oldest program."""
    with monkeypatch.context() as first:
        first.setattr(migrate, "known_migrations", lambda: known_migrations()[:2])
        assert migrate.migrate(empty_database_url) == ALL[:2]
    with pytest.raises(SchemaMismatch, match=r"older than this program.*run 'tracker migrate'"):
        check(empty_database_url)
    assert migrate.migrate(empty_database_url) == ALL[2:]
    check(empty_database_url)


def test_a_changed_migration_is_refused(database_url: str) -> None:
    with closing(connect(database_url, autocommit=True)) as connection:
        connection.execute("UPDATE schema_migration SET checksum = 'other'")
    for refusing in (check, migrate.migrate):
        with pytest.raises(SchemaMismatch, match="0001_schema is not the one"):
            refusing(database_url)


@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE tracker.job (id int)",
        "CREATE TABLE tracker.schema_migration (version text PRIMARY KEY)",
        "CREATE TABLE tracker.visits (id int)",
        "CREATE VIEW tracker.schema_migration AS SELECT 1 AS version",
        "CREATE TYPE tracker.job AS ENUM ('a')",
        "CREATE SEQUENCE tracker.job_job_key_seq",
        "CREATE FUNCTION tracker.count() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ],
)
def test_a_schema_of_another_program_is_refused_and_stays_as_it_was(
    empty_database_url: str, made: LiteralString
) -> None:
    objects = (
        "SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass"
        " AND refobjid = to_regnamespace('tracker')"
    )
    with closing(connect(empty_database_url, autocommit=True)) as connection:
        connection.execute("CREATE SCHEMA tracker")
        connection.execute(made)
        before = connection.execute(objects).fetchall()
        with pytest.raises(
            SchemaMismatch, match="schema 'tracker' of this database belongs to another program"
        ):
            migrate.migrate(empty_database_url)
        assert connection.execute(objects).fetchall() == before
    with pytest.raises(SchemaMismatch):
        check(empty_database_url)


def test_a_schema_that_is_empty_is_filled(empty_database_url: str) -> None:
    with closing(connect(empty_database_url, autocommit=True)) as connection:
        connection.execute("CREATE SCHEMA tracker")
    assert migrate.migrate(empty_database_url) == ALL


def test_the_migrations_of_the_first_release_never_change() -> None:
    """Not even their comments: databases hold the checksums."""
    assert [migration.checksum for migration in known_migrations()[:2]] == [
        "d296fb6c66a52a6ad1e18466c90ee0de379b70d8113fbfb8ecdbc129b7680790",
        "1eeadba9e5def5fa06123c7239d76400f13e13fd28dac2eca2ed03ea1d0b9af1",
    ]


def test_line_endings_do_not_change_the_checksum() -> None:
    assert checksum("SELECT 1;\r\nSELECT 2;\r\n") == checksum("SELECT 1;\nSELECT 2;\n")
    assert checksum("SELECT 1") != checksum("SELECT 2")


def test_a_migration_that_fails_leaves_nothing_and_those_before_it_stay(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(monkeypatch, "CREATE TABLE good ()", "CREATE TABLE half (); SELECT 1 / 0")
    with pytest.raises(
        TrackerError, match=r"migration \d+_more_2 failed, and was rolled back.*division by zero"
    ):
        migrate.migrate(database_url)
    with closing(connect(database_url)) as connection:
        rows = connection.execute(
            "SELECT to_regclass('good') IS NULL, to_regclass('half') IS NULL"
        ).fetchall()
    assert rows == [(False, True)]


def test_a_database_in_another_encoding_is_refused(database_url: str) -> None:
    name = "test_latin1"
    with closing(psycopg.connect(database_url, autocommit=True)) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'").format(
                sql.Identifier(name)
            )
        )
        try:
            with pytest.raises(SchemaMismatch, match=r"LATIN1.*UTF8"):
                migrate.migrate(make_conninfo(database_url, dbname=name))
        finally:
            connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def test_a_server_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(DatabaseUnavailable, match="Connection refused"):
        migrate.migrate("postgresql://127.0.0.1:1/any")


def lock_waits(connection: psycopg.Connection[tuple[object, ...]]) -> object:
    """Return how many locks are waited for in the connection's database."""
    [(waits,)] = connection.execute(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'tracker.deployment'::regclass"
    ).fetchall()
    return waits


def test_a_migration_that_waits_for_a_table_lets_others_pass(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever wants the table afterwards queues up after the migration; so that must not wait for long."""
    follow(monkeypatch, "ALTER TABLE deployment ADD extra integer")
    with (
        closing(connect(database_url)) as holder,
        closing(connect(database_url, autocommit=True)) as watcher,
        ThreadPoolExecutor(1) as thread,
    ):
        holder.execute("LOCK TABLE tracker.deployment IN ACCESS SHARE MODE")
        applied = thread.submit(migrate.migrate, database_url)
        assert wait_until(lambda: lock_waits(watcher) == 1, 30)
        assert wait_until(lambda: lock_waits(watcher) == 0, 30)
        assert not applied.done()
        holder.rollback()
        assert applied.result(60) == [f"{len(ALL) + 1:04d}_more_1"]


def test_a_table_that_is_kept_for_long_is_a_sentence(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(monkeypatch, "ALTER TABLE deployment ADD extra integer")
    monkeypatch.setattr(migrate, "_LOCK_ATTEMPTS", 1)
    with closing(connect(database_url)) as holder:
        holder.execute("LOCK TABLE tracker.deployment IN ACCESS SHARE MODE")
        with pytest.raises(
            DatabaseUnavailable, match="another transaction locks a table that a migration has to lock"
        ):
            migrate.migrate(database_url)
    missing = [state.applied_time is None for state in migrate.status(database_url)]
    assert missing == [False] * len(ALL) + [True]
