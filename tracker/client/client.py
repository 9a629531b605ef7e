"""`Client` and `AsyncClient`: the verbs, and what runs them."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager, suppress
from functools import partial, wraps
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from psycopg import AsyncConnection, Connection, errors
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolClosed

from tracker.client import change, look
from tracker.client.steps import Commit, Listing, Prepared, Query, Row, Sleep, Step, Verb
from tracker.client.submit import submit
from tracker.errors import TrackerError
from tracker.store.connect import CONNECT_TIMEOUT_S, connect, database_errors, store_conninfo
from tracker.store.migrate import check_schema
from tracker.store.session_settings import prepare_session, prepare_session_async, settings_of

P = ParamSpec("P")
T = TypeVar("T")

_ATTEMPTS = 5
_STREAM_ROWS = 2_000  # fetched at a time

# Another transaction was in the way, and this one has been undone: it is simply run again. A unique violation
# is a job that another submit stored at the same moment. A session that may only read began when its role was
# not allowed more, or its server was a standby: there may be several in the pool, and a new one may write.
_RETRIED = (
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.UniqueViolation,
    errors.ReadOnlySqlTransaction,
)


class _One(Generic[P, T]):
    """A verb with one answer: a method of `Client`, a coroutine of `AsyncClient`."""

    def __init__(self, verb: Callable[P, Prepared[T]]) -> None:
        self._verb = verb

    @overload
    def __get__(self, client: None, owner: type) -> Callable[Concatenate[Any, P], T]: ...
    @overload
    def __get__(self, client: "Client", owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: "AsyncClient", owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, client: "Client | AsyncClient | None", owner: type) -> Callable[..., Any]:
        if client is None:
            return self._verb
        run = client._run  # noqa: SLF001 - a part of both classes
        return wraps(self._verb)(lambda *args, **kwargs: run(partial(self._verb, *args, **kwargs)))


class _Many(Generic[P, T]):
    """A verb whose answer may be too large for memory: an iterator, asynchronous for `AsyncClient`."""

    def __init__(self, verb: Callable[P, Prepared[Listing[T]]]) -> None:
        self._verb = verb

    @overload
    def __get__(
        self, client: None, owner: type
    ) -> Callable[Concatenate[Any, P], Generator[T, None, None]]: ...
    @overload
    def __get__(self, client: "Client", owner: type) -> Callable[P, Generator[T, None, None]]: ...
    @overload
    def __get__(self, client: "AsyncClient", owner: type) -> Callable[P, AsyncGenerator[T, None]]: ...

    def __get__(self, client: "Client | AsyncClient | None", owner: type) -> Callable[..., Any]:
        if client is None:
            return self._verb
        run = client._stream  # noqa: SLF001 - a part of both classes
        return wraps(self._verb)(lambda *args, **kwargs: run(partial(self._verb, *args, **kwargs)))


class _Verbs:
    """What both clients can do."""

    submit = _One(submit)
    get = _One(look.get)
    list = _One(look.list_jobs)
    iterate = _Many(look.iterate_jobs)
    count = _One(look.count)
    wait = _One(look.wait)
    failures = _Many(look.failures)
    cancel = _One(change.cancel)
    pause = _One(change.pause)
    resume = _One(change.resume)
    delete = _One(change.delete)
    suspend_partition = _One(change.suspend_partition)
    resume_partition = _One(change.resume_partition)
    list_partitions = _One(change.list_partitions)


class Client(_Verbs):
    """Stores, looks at and changes jobs.

    `database_url` is a libpq URI or keyword string; ``PG*`` variables fill what it leaves out. Use it in a
    ``with`` statement, or call `open` and `close`. It may be shared by threads. Each verb is one transaction,
    and raises `TrackerError`: `DatabaseUnavailable` where PostgreSQL cannot be reached.
    """

    def __init__(self, database_url: str = "", *, max_connections: int = 4) -> None:
        self._conninfo = store_conninfo(database_url, application_name="tracker client")
        self._pool = ConnectionPool(
            self._conninfo,
            min_size=1,
            max_size=max_connections,
            timeout=CONNECT_TIMEOUT_S,
            configure=partial(prepare_session, settings=settings_of(database_url)),
            check=ConnectionPool.check_connection,
            open=False,
        )

    def open(self) -> None:
        """Connect.

        :raises DatabaseUnavailable: PostgreSQL cannot be reached.
        :raises SchemaMismatch: the database's schema is not this program's.
        """
        _check_database(self._conninfo)
        self._pool.open()

    def close(self) -> None:
        """Disconnect. A closed client cannot be opened again."""
        self._pool.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _run(self, prepare: Callable[[], Prepared[T]]) -> T:
        with _client_errors():
            verb = prepare()
            for _ in range(_ATTEMPTS - 1):
                with suppress(*_RETRIED):
                    return self._attempt(verb.begin())
            return self._attempt(verb.begin())

    def _attempt(self, verb: Verb[T]) -> T:
        progress = _Progress(verb)
        while True:
            with self._pool.connection() as connection:
                sleep_s = self._transact(connection, progress)
            if sleep_s is None:
                return progress.answer
            time.sleep(sleep_s)

    def _transact(self, connection: Connection, progress: "_Progress[T]") -> float | None:
        """Run steps up to the next sleep, and return how long it is; None at the end of the verb."""
        with _closed_if_read_only(connection), connection.cursor(binary=True) as cursor:
            while (step := progress.step()) is not None:
                if isinstance(step, Sleep):
                    return step.seconds
                if isinstance(step, Query):
                    cursor.execute(step.statement, step.parameters)
                    progress.rows = cursor.fetchall() if cursor.description else []
                    continue
                if isinstance(step, Commit):
                    connection.commit()
                    continue
                with cursor.copy(step.statement) as copy:
                    copy.set_types(step.types)
                    for row in step.rows:
                        copy.write_row(row)
        return None

    def _stream(self, prepare: Callable[[], Prepared[Listing[T]]]) -> Generator[T, None, None]:
        with _client_errors(), self._pool.connection() as connection:
            progress = _Progress(prepare().begin())
            self._transact(connection, progress)
            listing = progress.answer
            yield from listing.first
            with connection.cursor("listing", binary=True) as cursor:
                cursor.itersize = _STREAM_ROWS
                for row in cursor.execute(listing.query.statement, listing.query.parameters):
                    yield listing.shape(row)


class AsyncClient(_Verbs):
    """`Client` for asyncio: the same verbs, awaited; `iterate` and `failures` are asynchronous iterators.

    Checking and encoding a submit of many jobs takes about 10 microseconds a job of the event loop's time.
    """

    def __init__(self, database_url: str = "", *, max_connections: int = 4) -> None:
        self._conninfo = store_conninfo(database_url, application_name="tracker client")
        self._pool = AsyncConnectionPool(
            self._conninfo,
            min_size=1,
            max_size=max_connections,
            timeout=CONNECT_TIMEOUT_S,
            configure=partial(prepare_session_async, settings=settings_of(database_url)),
            check=AsyncConnectionPool.check_connection,
            open=False,
        )

    async def open(self) -> None:
        """Connect; otherwise as `Client.open`."""
        await asyncio.to_thread(_check_database, self._conninfo)
        await self._pool.open()

    async def close(self) -> None:
        """Disconnect; otherwise as `Client.close`."""
        await self._pool.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def _run(self, prepare: Callable[[], Prepared[T]]) -> T:
        with _client_errors():
            verb = prepare()
            for _ in range(_ATTEMPTS - 1):
                with suppress(*_RETRIED):
                    return await self._attempt(verb.begin())
            return await self._attempt(verb.begin())

    async def _attempt(self, verb: Verb[T]) -> T:
        progress = _Progress(verb)
        while True:
            async with self._pool.connection() as connection:
                sleep_s = await self._transact(connection, progress)
            if sleep_s is None:
                return progress.answer
            await asyncio.sleep(sleep_s)

    async def _transact(self, connection: AsyncConnection, progress: "_Progress[T]") -> float | None:
        with _closed_if_read_only(connection):
            async with connection.cursor(binary=True) as cursor:
                while (step := progress.step()) is not None:
                    if isinstance(step, Sleep):
                        return step.seconds
                    if isinstance(step, Query):
                        await cursor.execute(step.statement, step.parameters)
                        progress.rows = await cursor.fetchall() if cursor.description else []
                        continue
                    if isinstance(step, Commit):
                        await connection.commit()
                        continue
                    async with cursor.copy(step.statement) as copy:
                        copy.set_types(step.types)
                        for row in step.rows:
                            await copy.write_row(row)
        return None

    async def _stream(self, prepare: Callable[[], Prepared[Listing[T]]]) -> AsyncGenerator[T, None]:
        with _client_errors():
            async with self._pool.connection() as connection:
                progress = _Progress(prepare().begin())
                await self._transact(connection, progress)
                listing = progress.answer
                for item in listing.first:
                    yield item
                async with connection.cursor("listing", binary=True) as cursor:
                    cursor.itersize = _STREAM_ROWS
                    async for row in await cursor.execute(listing.query.statement, listing.query.parameters):
                        yield listing.shape(row)


class _Progress(Generic[T]):
    """A verb under way: its next step is taken with the rows of the one before."""

    answer: T

    def __init__(self, verb: Verb[T]) -> None:
        self._verb = verb
        self._begun = False
        self.rows: list[Row] = []

    def step(self) -> Step | None:
        """Return the next step, or None at the end, when there is an `answer`."""
        rows, self.rows = self.rows, []
        try:
            if self._begun:
                return self._verb.send(rows)
            self._begun = True
            return next(self._verb)
        except StopIteration as end:
            self.answer = end.value
            return None


@contextmanager
def _client_errors() -> Iterator[None]:
    with database_errors():
        try:
            yield
        except PoolClosed:
            raise TrackerError("the client is not open: use it in a with statement") from None


@contextmanager
def _closed_if_read_only(connection: Connection | AsyncConnection) -> Iterator[None]:
    """Keep the pool from lending a session again that may only read."""
    try:
        yield
    except errors.ReadOnlySqlTransaction:
        connection.pgconn.finish()
        raise


def _check_database(conninfo: str) -> None:
    with connect(conninfo, application_name="tracker client") as connection:
        check_schema(connection)
