"""A PgBouncer in each mode, and databases that are reached through it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.databases import new_database
from tests.support.deployment_fixtures import deploy
from tests.support.pgbouncer import PgBouncer
from tracker.stack import LocalStack
from tracker.stack.lifetime import Watchdog

__all__ = ["deploy"]  # it takes `database_url` from here

SESSION_MODES: dict[str, dict[str, str]] = {
    "as it comes": {},
    "options ignored": {"ignore_startup_parameters": "options"},
}
SHARING_MODES: dict[str, dict[str, str]] = {
    mode: {"pool_mode": mode, "ignore_startup_parameters": "options"} for mode in ("transaction", "statement")
}


@pytest.fixture(scope="session", params=SESSION_MODES)
def pooler(stack: LocalStack, request: pytest.FixtureRequest) -> Iterator[PgBouncer]:
    """A PgBouncer in session mode."""
    with _started(stack, SESSION_MODES[request.param]) as pooler:
        yield pooler


@pytest.fixture(scope="session", params=SHARING_MODES)
def sharing_pooler(stack: LocalStack, request: pytest.FixtureRequest) -> Iterator[PgBouncer]:
    """A PgBouncer that gives a process of PostgreSQL to several clients."""
    with _started(stack, SHARING_MODES[request.param]) as pooler:
        yield pooler


@pytest.fixture
def database_url(stack: LocalStack, template_database: str, pooler: PgBouncer) -> Iterator[str]:
    """A database of the test's own, through the pooler."""
    with new_database(stack, template=template_database) as (_, url):
        yield pooler.url(url)


@pytest.fixture
def empty_database_url(stack: LocalStack, pooler: PgBouncer) -> Iterator[str]:
    """A database of the test's own, without the program's schema, through the pooler."""
    with new_database(stack, template="template0") as (_, url):
        yield pooler.url(url)


@contextmanager
def _started(stack: LocalStack, settings: dict[str, str]) -> Iterator[PgBouncer]:
    watchdog = Watchdog()
    folder = Path(tempfile.mkdtemp(prefix="tracker-pgbouncer-"))
    watchdog.watch_directory(folder)
    try:
        with PgBouncer(folder, stack.database_url, watchdog, **settings) as pooler:
            yield pooler
    finally:
        watchdog.close()
        shutil.rmtree(folder, ignore_errors=True)
