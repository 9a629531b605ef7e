"""Fixtures of the tests of the clients: each test runs with both of them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, cast

import psycopg
import pytest

from tracker import AsyncClient, Client
from tracker.store.connect import connect

Connection = psycopg.Connection[tuple[Any, ...]]


class BlockingClient:
    """An `AsyncClient` that is used like a `Client`."""

    def __init__(self, database_url: str, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._client = AsyncClient(database_url)

    def __enter__(self) -> "BlockingClient":
        self._runner.run(self._client.__aenter__())
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.run(self._client.__aexit__(*error))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        verb = getattr(self._client, name)

        def call(*arguments: Any, **options: Any) -> Any:
            begun = verb(*arguments, **options)
            return self._runner.run(_collect(begun) if isinstance(begun, AsyncIterator) else begun)

        return call


async def _collect(items: AsyncIterator[Any]) -> Iterator[Any]:
    return iter([item async for item in items])


@contextmanager
def open_client(kind: str, database_url: str) -> Iterator[Client]:
    if kind == "threads":
        with Client(database_url) as client:
            yield client
    else:
        with asyncio.Runner() as runner, BlockingClient(database_url, runner) as blocking:
            yield cast("Client", blocking)


@pytest.fixture(params=["threads", "asyncio"])
def client(request: pytest.FixtureRequest, database_url: str) -> Iterator[Client]:
    """A client for a database of the test's own."""
    with open_client(request.param, database_url) as client:
        yield client


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    """Another session of the same database, to see and do what the worker does; each statement commits."""
    with closing(connect(database_url, autocommit=True)) as connection:
        yield connection
