"""`Client` and `AsyncClient`, which run the verbs of `tracker.jobs`."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial, wraps
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    Unpack,
    overload,
)

from psycopg import AsyncConnection, Connection, errors
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolClosed

from tracker import client_filters
from tracker.client_filters import Filters
from tracker.errors import InvalidQuery, TrackerError, TransactionConflict
from tracker.job_filter import JobFilter
from tracker.jobs import by_hand, cascade, change, missing, query, retry, watch
from tracker.jobs.action import os_user
from tracker.jobs.arguments import check_connections, check_user
from tracker.jobs.job import ChangeCount, ChangedJob, JobDetails, JobReference
from tracker.jobs.submit import submit
from tracker.store.connect import CONNECT_TIMEOUT_S, connected, store_conninfo
from tracker.store.explain import database_errors
from tracker.store.migrate import check_schema
from tracker.store.pool import ProcessPool, process_items
from tracker.store.retries import RETRIED, pauses
from tracker.store.session_settings import prepare_session, prepare_session_async, settings_of
from tracker.store.steps import (
    Commit,
    Feed,
    Listing,
    Prepared,
    Query,
    ReadUser,
    Row,
    Sleep,
    Step,
    Streamed,
    Verb,
    Walk,
)

if TYPE_CHECKING:
    from tracker.diagnosis.reason import Why, WhySummary

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")

_STREAM_ROWS = 2_000  # fetched at a time


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


class _Items(Generic[P, T]):
    """A verb that gives items: an iterator, asynchronous for `AsyncClient`."""

    _method: ClassVar[str]  # of the client, which runs it

    def __init__(self, verb: Callable[P, Streamed[T] | Feed[T]]) -> None:
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
        run = getattr(client, self._method)
        return wraps(self._verb)(lambda *args, **kwargs: run(partial(self._verb, *args, **kwargs)))


class _Many(_Items[P, T]):
    """A verb whose answer may be too large for memory."""

    _method = "_stream"


class _Live(_Items[P, T]):
    """A verb whose items come as time passes."""

    _method = "_follow"


def _why(job: JobReference) -> Prepared["Why"]:
    """Return why a job stands where it stands, the most telling reason first. Kafka is not asked.

    :raises JobNotFound: no job has this name.
    """
    # It takes a while to load, and no other verb needs it.
    from tracker.diagnosis.why import why

    return why(job)


def _why_matching(**filters: Unpack[Filters]) -> Feed["Why"]:
    """Return each job that matches all `filters` with its first reason. Kafka is not asked.

    Those that have not completed come first, the oldest first. Jobs submitted meanwhile do not count.

    :raises InvalidQuery: a status that does not exist, or RSQL that is none.
    """
    from tracker.diagnosis.many import why_matching

    return why_matching(client_filters.read_filters(**filters))


def _why_summary(**filters: Unpack[Filters]) -> Prepared["WhySummary"]:
    """Return how many jobs have which first reason, of the first 10,000 that match all `filters`.

    Kafka is not asked. Jobs that have not completed come first, the oldest first.

    :raises InvalidQuery: a status that does not exist, or RSQL that is none.
    """
    from tracker.diagnosis.many import summarize_matching

    return summarize_matching(client_filters.read_filters(**filters))


def _describe(job: JobReference) -> Prepared[JobDetails]:
    """Return all that is shown of a job: what `get` returns, and what it waits for and has lost.

    :raises JobNotFound: no job has this name.
    """
    from tracker.diagnosis.details import describe

    return describe(job)


class _Change(Generic[P]):
    """A verb that changes the jobs that it is given, or with `matching` all that match: RSQL, or a filter."""

    def __init__(
        self,
        by_name: Callable[P, Prepared[list[ChangedJob]]],
        all_matching: Callable[[str | JobFilter], Prepared[ChangeCount]],
    ) -> None:
        self._by_name = by_name
        self._all_matching = all_matching

    @overload
    def __get__(
        self, client: None, owner: type
    ) -> Callable[Concatenate[Any, P], Prepared[list[ChangedJob]]]: ...
    @overload
    def __get__(self, client: "Client", owner: type) -> "_Called[P]": ...
    @overload
    def __get__(self, client: "AsyncClient", owner: type) -> "_Awaited[P]": ...

    def __get__(self, client: "Client | AsyncClient | None", owner: type) -> Callable[..., Any]:
        if client is None:
            return self._by_name
        run: Callable[[Callable[[], Prepared[Any]]], Any] = client._run  # noqa: SLF001 - a part of both

        @wraps(self._by_name)
        def call(*args: Any, matching: str | JobFilter | None = None, **kwargs: Any) -> Any:
            if matching is None:
                return run(partial(self._by_name, *args, **kwargs))
            return run(partial(self._prepare, matching, args, kwargs))

        return call

    def _prepare(
        self, matching: str | JobFilter, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> Prepared[ChangeCount]:
        if args or kwargs:
            raise InvalidQuery("give jobs or `matching`, not both, and `matching` without other arguments")
        return self._all_matching(matching)


class _Called(Protocol[P]):
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> list[ChangedJob]: ...
    @overload
    def __call__(self, *, matching: str | JobFilter) -> ChangeCount: ...


class _Awaited(Protocol[P]):
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, list[ChangedJob]]: ...
    @overload
    def __call__(self, *, matching: str | JobFilter) -> Coroutine[Any, Any, ChangeCount]: ...


class _Verbs:
    """The verbs of both clients."""

    submit = _One(submit)
    get = _One(query.get_job)
    describe = _One(_describe)
    list = _One(client_filters.list_jobs)
    list_page = _One(client_filters.list_page)
    iterate = _Many(client_filters.iterate_jobs)
    count = _One(client_filters.count_jobs)
    count_or_estimate = _One(client_filters.count_or_estimate)
    wait = _One(query.wait_for_jobs)
    watch = _Live(watch.watch_jobs)
    failures = _Many(query.list_failures)
    missing = _Many(missing.find_missing)
    why = _One(_why)
    why_matching = _Live(_why_matching)
    why_summary = _One(_why_summary)
    cancel = _Change(cascade.cancel, partial(client_filters.change_matching, change.CANCEL))
    pause = _Change(change.pause, partial(client_filters.change_matching, change.PAUSE))
    resume = _Change(change.resume, partial(client_filters.change_matching, change.RESUME))
    retry = _Change(retry.retry, client_filters.retry_matching)
    delete = _Change(change.delete, partial(client_filters.change_matching, change.DELETE))
    release = _One(by_hand.release)
    change_prerequisites = _One(by_hand.change_prerequisites)
    count_dependents = _One(cascade.count_dependents)
    suspend_partition = _One(change.suspend_partition)
    resume_partition = _One(change.resume_partition)
    list_partitions = _One(change.list_partitions)


class Client(_Verbs):
    """Stores, reads and changes jobs.

    `database_url` is a libpq URI or keyword string; ``PG*`` variables fill what it leaves out. Use the client
    in a ``with`` statement, or call `open` and `close`. Each verb is one transaction (with `matching`, a verb
    that changes jobs is one for each few thousand), and raises `TrackerError`: `DatabaseUnavailable` if
    PostgreSQL cannot be reached, `TransactionConflict` if it conflicted with other transactions five times.

    `user` is who changes jobs, for the table ``action``: by default the operating system's user.

    Threads can share a client. A forked process can use the client that its parent has opened, and gets
    connections of its own with the first verb; but only the process that began a listing can use it.
    """

    def __init__(self, database_url: str = "", *, max_connections: int = 4, user: str | None = None) -> None:
        check_connections(database_url, max_connections)
        check_user(user)
        self._user = user
        self._conninfo = store_conninfo(database_url, application_name="tracker client")
        self._pool = ProcessPool(partial(self._make_pool, database_url, max_connections))

    def _make_pool(self, database_url: str, max_connections: int) -> ConnectionPool:
        return ConnectionPool(
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

    def run(self, verb: Prepared[T]) -> T:
        """Run a verb of `tracker.jobs`, whose arguments are typed values; the methods read them from text."""
        return self._run(lambda: verb)

    def stream(self, verb: Streamed[T]) -> Generator[T, None, None]:
        """Run a verb of `tracker.jobs` whose answer may be too large for memory; see `run`."""
        return self._stream(lambda: verb)

    def follow(self, feed: Feed[T]) -> Generator[T, None, None]:
        """Run a verb of `tracker.jobs` whose items come as time passes; see `run`."""
        return self._follow(lambda: feed)

    def _run(self, prepare: Callable[[], Prepared[T]]) -> T:
        with _client_errors():
            verb = prepare()
            for pause_s in pauses():
                with suppress(*RETRIED):
                    return self._attempt(verb.begin())
                time.sleep(pause_s)
            return self._attempt(verb.begin())

    def _attempt(self, verb: Verb[T]) -> T:
        progress = _Progress(verb)
        while True:
            with self._pool.get().connection() as connection:
                sleep_s = self._transact(connection, progress)
            if sleep_s is None:
                return progress.answer
            time.sleep(sleep_s)

    def _transact(self, connection: Connection, progress: "_Progress[Step, T]") -> float | None:
        """Run the steps up to the next sleep, and return its seconds; None at the end of the verb."""
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
                if isinstance(step, ReadUser):
                    progress.rows = [(os_user() if self._user is None else self._user,)]
                    continue
                with cursor.copy(step.statement) as copy:
                    copy.set_types(step.types)
                    for row in step.rows:
                        copy.write_row(row)
        return None

    def _stream(self, prepare: Callable[[], Streamed[T]]) -> Generator[T, None, None]:
        return process_items(self._items(prepare))

    def _items(self, prepare: Callable[[], Streamed[T]]) -> Generator[T, None, None]:
        with _client_errors(), self._pool.get().connection() as connection:
            verb: Verb[Listing[T] | Walk[T]] = prepare().begin()
            progress = _Progress(verb)
            self._transact(connection, progress)
            listing = progress.answer
            if isinstance(listing, Walk):
                yield from self._walk(connection, listing)
                return
            yield from listing.first
            with connection.cursor("listing", binary=True) as cursor:
                cursor.itersize = _STREAM_ROWS
                for row in cursor.execute(listing.query.statement, listing.query.parameters):
                    yield listing.shape(row)

    def _walk(self, connection: Connection, walk: Walk[T]) -> Generator[T, None, None]:
        progress = _Progress(walk.begin())
        with connection.cursor(binary=True) as cursor:
            while (step := progress.step()) is not None:
                if isinstance(step, Query):
                    progress.rows = cursor.execute(step.statement, step.parameters).fetchall()
                else:
                    yield from step

    def _follow(self, prepare: Callable[[], Feed[T]]) -> Generator[T, None, None]:
        with _client_errors():
            progress = _Progress(prepare().begin())
            while (step := progress.step()) is not None:
                if isinstance(step, Prepared):
                    progress.rows = self.run(step)
                elif isinstance(step, Sleep):
                    time.sleep(step.seconds)
                else:
                    yield from step


class AsyncClient(_Verbs):
    """`Client` for asyncio: the same verbs, awaited; where the others are iterators, asynchronous ones.

    It belongs to the process and the event loop in which it was opened. In another one it raises a
    `TrackerError` that says so: open one in each.

    To check and encode the jobs of a submit takes about 10 microseconds of the event loop's time for each
    job.
    """

    def __init__(self, database_url: str = "", *, max_connections: int = 4, user: str | None = None) -> None:
        check_connections(database_url, max_connections)
        check_user(user)
        self._user = user
        self._conninfo = store_conninfo(database_url, application_name="tracker client")
        self._home: tuple[int, asyncio.AbstractEventLoop] | None = None  # where it was opened
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
        self._require_home()
        self._home = os.getpid(), asyncio.get_running_loop()
        await asyncio.to_thread(_check_database, self._conninfo)
        await self._pool.open()

    async def close(self) -> None:
        """Disconnect; otherwise as `Client.close`. It does nothing in a process that has not opened it."""
        if self._home is None or self._home[0] == os.getpid():
            self._require_home()
            await self._pool.close()

    def _require_home(self) -> None:
        """Refuse to use connections that another event loop or process waits for."""
        if self._home is None:
            return
        pid, loop = self._home
        if pid != os.getpid():
            raise TrackerError("this AsyncClient was opened by another process; open one in each")
        if loop is not asyncio.get_running_loop():
            raise TrackerError("this AsyncClient was opened in another event loop; open one in each")

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def run(self, verb: Prepared[T]) -> T:
        """Do as `Client.run`."""
        return await self._run(lambda: verb)

    def stream(self, verb: Streamed[T]) -> AsyncGenerator[T, None]:
        """Do as `Client.stream`."""
        return self._stream(lambda: verb)

    def follow(self, feed: Feed[T]) -> AsyncGenerator[T, None]:
        """Do as `Client.follow`."""
        return self._follow(lambda: feed)

    async def _run(self, prepare: Callable[[], Prepared[T]]) -> T:
        self._require_home()
        with _client_errors():
            verb = prepare()
            for pause_s in pauses():
                with suppress(*RETRIED):
                    return await self._attempt(verb.begin())
                await asyncio.sleep(pause_s)
            return await self._attempt(verb.begin())

    async def _attempt(self, verb: Verb[T]) -> T:
        progress = _Progress(verb)
        while True:
            async with self._pool.connection() as connection:
                sleep_s = await self._transact(connection, progress)
            if sleep_s is None:
                return progress.answer
            await asyncio.sleep(sleep_s)

    async def _transact(self, connection: AsyncConnection, progress: "_Progress[Step, T]") -> float | None:
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
                    if isinstance(step, ReadUser):
                        progress.rows = [(os_user() if self._user is None else self._user,)]
                        continue
                    async with cursor.copy(step.statement) as copy:
                        copy.set_types(step.types)
                        for row in step.rows:
                            await copy.write_row(row)
        return None

    async def _stream(self, prepare: Callable[[], Streamed[T]]) -> AsyncGenerator[T, None]:
        self._require_home()
        with _client_errors():
            async with self._pool.connection() as connection:
                verb: Verb[Listing[T] | Walk[T]] = prepare().begin()
                progress = _Progress(verb)
                await self._transact(connection, progress)
                listing = progress.answer
                if isinstance(listing, Walk):
                    async for item in self._walk(connection, listing):
                        yield item
                    return
                for item in listing.first:
                    yield item
                async with connection.cursor("listing", binary=True) as cursor:
                    cursor.itersize = _STREAM_ROWS
                    async for row in await cursor.execute(listing.query.statement, listing.query.parameters):
                        yield listing.shape(row)

    async def _walk(self, connection: AsyncConnection, walk: Walk[T]) -> AsyncGenerator[T, None]:
        progress = _Progress(walk.begin())
        async with connection.cursor(binary=True) as cursor:
            while (step := progress.step()) is not None:
                if isinstance(step, Query):
                    executed = await cursor.execute(step.statement, step.parameters)
                    progress.rows = await executed.fetchall()
                else:
                    for item in step:
                        yield item

    async def _follow(self, prepare: Callable[[], Feed[T]]) -> AsyncGenerator[T, None]:
        self._require_home()
        with _client_errors():
            progress = _Progress(prepare().begin())
            while (step := progress.step()) is not None:
                if isinstance(step, Prepared):
                    progress.rows = await self.run(step)
                elif isinstance(step, Sleep):
                    await asyncio.sleep(step.seconds)
                else:
                    for item in step:
                        yield item


class _Progress(Generic[S, T]):
    """A verb that runs, a walk, or a feed: it is sent the rows of each step, and yields the next."""

    answer: T

    def __init__(self, verb: Generator[S, list[Row], T]) -> None:
        self._verb = verb
        self._begun = False
        self.rows: list[Row] = []

    def step(self) -> S | None:
        """Return the next step, or None at the end, when `answer` is set."""
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
        except errors.UniqueViolation as error:
            raise TransactionConflict(
                "another program submits some of the same jobs at the same time; try again later"
            ) from error


@contextmanager
def _closed_if_read_only(connection: Connection | AsyncConnection) -> Iterator[None]:
    """Close a connection that is read-only, so that the pool does not lend it again."""
    try:
        yield
    except errors.ReadOnlySqlTransaction:
        connection.pgconn.finish()
        raise


def _check_database(conninfo: str) -> None:
    with connected(conninfo, application_name="tracker client") as connection:
        check_schema(connection)
