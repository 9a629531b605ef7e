"""The steps in which a verb uses the database.

A verb is a generator: it yields steps and receives their rows, and knows nothing of connections, threads or
event loops. One generator therefore serves both `Client` and `AsyncClient`. All steps of a verb are one
transaction; only a `Sleep` or a `Commit` ends one, and the next step begins another.

A verb is run again if its transaction was rolled back. Its arguments may be readable only once (a generator,
an open file), so they are read first, and the result, a `Prepared`, can begin the verb several times.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Generic, TypeVar

from psycopg.sql import SQL, Composed

from tracker.store.queries import query

T = TypeVar("T")
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Query:
    """A statement; the answer is its rows."""

    statement: SQL | Composed
    parameters: Mapping[str, object]


@dataclass(frozen=True)
class Copy:
    """Rows for a ``COPY … FROM STDIN (FORMAT BINARY)``; the types must be those of its columns."""

    statement: SQL | Composed
    types: Sequence[str]
    rows: Iterable[Sequence[object]]


@dataclass(frozen=True)
class Sleep:
    """Wait without a connection."""

    seconds: float


@dataclass(frozen=True)
class Commit:
    """Commit, so that others see what was done so far."""


@dataclass(frozen=True)
class ReadUser:
    """Ask who uses the client; the answer is one row with the name, which is empty if nobody knows."""


@dataclass(frozen=True)
class Listing(Generic[T]):
    """An answer that may be too large for memory: some items, then the rows of a query."""

    query: Query
    shape: Callable[[Row], T]
    first: Sequence[T] = field(default=())


@dataclass(frozen=True)
class Walk(Generic[T]):
    """An answer that may be too large for memory: items, and the queries that they are made from.

    The verb has begun a snapshot, so that all these queries see the same.
    """

    begin: Callable[[], Generator[Query | Sequence[T], list[Row], None]]


Step = Query | Copy | Sleep | Commit | ReadUser
Verb = Generator[Step, list[Row], T]


@dataclass(frozen=True)
class Prepared(Generic[T]):
    """A verb with arguments that are read and checked. It can be begun any number of times."""

    begin: Callable[[], Verb[T]]


Streamed = Prepared[Listing[T]] | Prepared[Walk[T]]
"""A verb whose answer may be too large for memory."""


@dataclass(frozen=True)
class Feed(Generic[T]):
    """Items as time passes: verbs that ask for them, and pauses without a connection.

    Each verb is a transaction of its own, and is run again by itself if it conflicted with others.
    """

    begin: Callable[[], Generator[Prepared[list[Row]] | Sleep | Sequence[T], list[Row], None]]


def ask(name: str, **parameters: object) -> Verb[list[Row]]:
    """Run the named statement and return its rows."""
    rows = yield Query(query(name), parameters)
    return rows


def copy(name: str, types: Sequence[str], rows: Iterable[Sequence[object]]) -> Verb[None]:
    """Send rows with the named COPY statement, if there are any."""
    rows = iter(rows)
    for first in rows:
        yield Copy(query(name), types, chain([first], rows))
