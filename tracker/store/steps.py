"""What a verb asks of the database, step by step.

A verb is a generator: it yields steps and is sent their rows, and knows nothing of connections, threads or
event loops. So it is written once, and run by `Client` and by `AsyncClient`. All the steps of a verb are one
transaction; only a `Sleep` or a `Commit` ends one, and the next step begins another.

A verb is run again when its transaction was undone. What it is given may be readable only once (a generator,
an open file), so the arguments are read first, and what the verb is begun with is `Prepared`.
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
    """A statement; it is answered with its rows."""

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
    """Wait, without a connection."""

    seconds: float


@dataclass(frozen=True)
class Commit:
    """Let others see what was done so far."""


@dataclass(frozen=True)
class Listing(Generic[T]):
    """What a verb returns whose answer may be too large for memory: some items, then a query's rows."""

    query: Query
    shape: Callable[[Row], T]
    first: Sequence[T] = field(default=())


Step = Query | Copy | Sleep | Commit
Verb = Generator[Step, list[Row], T]


@dataclass(frozen=True)
class Prepared(Generic[T]):
    """A verb whose arguments have been read and checked. It can be begun any number of times."""

    begin: Callable[[], Verb[T]]


def ask(name: str, **parameters: object) -> Verb[list[Row]]:
    """Run the named statement and return its rows."""
    rows = yield Query(query(name), parameters)
    return rows


def copy(name: str, types: Sequence[str], rows: Iterable[Sequence[object]]) -> Verb[None]:
    """Send rows by the named COPY statement; nothing, where there are none."""
    rows = iter(rows)
    for first in rows:
        yield Copy(query(name), types, chain([first], rows))
