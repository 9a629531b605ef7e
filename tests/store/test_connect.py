"""Connections have fixed settings, and what goes wrong is one sentence without secrets."""

from contextlib import closing

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tracker.errors import DatabaseReadOnly, DatabaseUnavailable, SchemaMismatch, TrackerError
from tracker.store.connect import connect, connect_by_index
from tracker.store.explain import database_errors


def setting(connection: psycopg.Connection[tuple[object, ...]], name: str) -> object:
    row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row is not None
    return row[0]


def test_the_settings_that_matter_are_fixed(database_url: str) -> None:
    url = make_conninfo(
        database_url, options="-c search_path=public -c default_transaction_isolation=serializable"
    )
    with closing(connect(url)) as connection:
        assert setting(connection, "search_path") == "tracker,pg_temp"
        assert setting(connection, "default_transaction_isolation") == "read committed"
        assert setting(connection, "client_encoding") == "UTF8"


@pytest.mark.parametrize(
    ("given", "used"), [("off", "on"), ("local", "local"), ("remote_apply", "remote_apply")]
)
def test_what_kafka_relies_on_is_committed_to_disk(database_url: str, given: str, used: str) -> None:
    url = make_conninfo(database_url, options=f"-c synchronous_commit={given}")
    with closing(connect_by_index(url, application_name="test")) as connection:
        assert setting(connection, "synchronous_commit") == used


def test_time_limits_and_the_name_are_the_users_where_he_gives_them(database_url: str) -> None:
    url = make_conninfo(database_url, options="-c lock_timeout=7s", application_name="mine")
    with closing(connect(url)) as connection:
        assert setting(connection, "lock_timeout") == "7s"
        assert setting(connection, "statement_timeout") == "5min"
        assert setting(connection, "idle_in_transaction_session_timeout") == "2min"
        assert setting(connection, "application_name") == "mine"


def test_options_of_the_environment_are_kept(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=5MB")
    with closing(connect(database_url)) as connection:
        assert setting(connection, "work_mem") == "5MB"
        assert setting(connection, "search_path") == "tracker,pg_temp"


@pytest.mark.parametrize("option", ["-c nonsense=1", "-c work_mem=much", "-c max_connections=3"])
def test_an_option_that_postgresql_does_not_take_is_a_sentence(database_url: str, option: str) -> None:
    with pytest.raises(TrackerError, match="rejects a setting in the connection's options"):
        connect(make_conninfo(database_url, options=option))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hush@127.0.0.1:1/db",
        "postgresql://u:hush@[::1/db",
        "host=127.0.0.1 password=hush nonsense",
        "host=127.0.0.1 port=1 password='hush' dbname=x",
        "hush",
    ],
)
def test_a_database_that_cannot_be_reached_is_a_sentence_without_secrets(url: str) -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        connect(url)
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_connection_that_is_cut_is_a_sentence(database_url: str) -> None:
    with (
        closing(connect(database_url)) as connection,
        closing(connect(database_url, autocommit=True)) as other,
    ):
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])
        with pytest.raises(DatabaseUnavailable, match="not available"), database_errors():
            connection.execute("SELECT 1")


def test_a_statement_that_takes_too_long_is_a_sentence(database_url: str) -> None:
    url = make_conninfo(database_url, options="-c statement_timeout=10ms")
    with (
        closing(connect(url)) as connection,
        pytest.raises(DatabaseUnavailable, match="in time"),
        database_errors(),
    ):
        connection.execute("SELECT pg_sleep(5)")


def test_a_missing_table_says_how_to_make_it(empty_database_url: str) -> None:
    with (
        closing(connect(empty_database_url)) as connection,
        pytest.raises(SchemaMismatch, match="migrate"),
        database_errors(),
    ):
        connection.execute("SELECT 1 FROM job")


def test_a_missing_right_is_a_sentence(database_url: str) -> None:
    with closing(connect(database_url)) as connection:
        connection.execute("SET ROLE pg_monitor")
        with pytest.raises(TrackerError, match="permission denied"), database_errors():
            connection.execute("SELECT 1 FROM tracker.job")


def test_a_mistake_in_the_program_is_a_sentence_that_keeps_its_cause(database_url: str) -> None:
    with closing(connect(database_url)) as connection:
        with pytest.raises(TrackerError, match="SQLSTATE 42601") as caught, database_errors():
            connection.execute("SELEC")
        assert isinstance(caught.value.__cause__, psycopg.errors.SyntaxError)


def test_a_database_that_only_allows_reading_is_not_reported_as_away(database_url: str) -> None:
    url = make_conninfo(database_url, options="-c default_transaction_read_only=on")
    with closing(connect(url)) as connection:
        with pytest.raises(DatabaseReadOnly, match="but only for reading") as caught, database_errors():
            connection.execute("SELECT 1 FROM job FOR UPDATE")
        assert "not available" not in str(caught.value)
