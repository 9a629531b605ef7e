"""A PgBouncer in transaction or statement mode is recognized, and refused before anything is done."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from tests.support.databases import new_database
from tests.support.pgbouncer import PgBouncer
from tests.support.program import ROOT
from tracker import Client
from tracker.errors import DatabaseUnavailable, TrackerError
from tracker.stack import LocalStack
from tracker.stack.server import clean_environment
from tracker.store import migrate
from tracker.store.connect import connect

SENTENCE = r"connection pooler .* \(transaction or statement mode\): use its session mode"


@pytest.fixture
def shared_url(stack: LocalStack, template_database: str, sharing_pooler: PgBouncer) -> Iterator[str]:
    with new_database(stack, template=template_database) as (_, url):
        yield sharing_pooler.url(url)


def refused(url: str) -> None:
    with pytest.raises(TrackerError, match=SENTENCE) as caught:
        connect(url)
    assert not isinstance(caught.value, DatabaseUnavailable), "nobody waits for it to pass"


def test_a_session_is_refused_and_leaves_nothing(shared_url: str) -> None:
    with closing(psycopg.connect(shared_url, autocommit=True)) as other:
        [before] = other.execute("SHOW search_path").fetchall()
        refused(shared_url)
        assert other.execute("SHOW search_path").fetchall() == [before]


def test_it_is_recognized_while_others_use_the_pooler(shared_url: str) -> None:
    done = threading.Event()

    def work() -> None:
        with closing(psycopg.connect(shared_url, autocommit=True, prepare_threshold=None)) as connection:
            while not done.is_set():
                connection.execute("SELECT pg_sleep(0.001)")

    others = [threading.Thread(target=work) for _ in range(4)]
    for other in others:
        other.start()
    try:
        for _ in range(20):
            refused(shared_url)
    finally:
        done.set()
        for other in others:
            other.join()


def test_migrate_does_nothing(stack: LocalStack, sharing_pooler: PgBouncer) -> None:
    with new_database(stack, template="template0") as (_, url):
        with pytest.raises(TrackerError, match=SENTENCE):
            migrate.migrate(sharing_pooler.url(url))
        with closing(connect(url)) as connection:
            assert connection.execute("SELECT to_regnamespace('tracker')").fetchall() == [(None,)]


def test_a_client_is_refused_when_it_is_opened(shared_url: str) -> None:
    with pytest.raises(TrackerError, match=SENTENCE):
        Client(shared_url).open()


@pytest.mark.parametrize("command", ["run", "migrate", "job list", "config --check", "adopt kafka --dry-run"])
def test_every_command_says_so_in_a_sentence(shared_url: str, command: str, bootstrap_servers: str) -> None:
    environment = clean_environment(
        TRACKER_DATABASE_URL=shared_url,
        TRACKER_KAFKA_BOOTSTRAP_SERVERS=bootstrap_servers,
        TRACKER_HTTP_PORT="",
        PYTHONPATH=str(ROOT),
    )
    done = subprocess.run(
        [sys.executable, "-m", "tracker", *command.split()],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    text = done.stdout + done.stderr
    assert done.returncode == 1, text
    assert "use its session mode (PgBouncer: pool_mode=session)" in text
    assert "Traceback" not in text
