"""The SQL of the job store: one statement a file, in a folder of `tracker/store/sql`, named for what it does.

A file starts with a comment that says what the statement is for. Parameters are psycopg's,
``%(name)s``, and bulk parameters are arrays that the statement takes apart with ``unnest``.
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from psycopg.sql import SQL


@cache
def statement_files() -> Mapping[str, Traversable]:
    """Return the file of each statement, by its name, which is unique in all folders."""
    return {
        file.name.removesuffix(".sql"): file
        for folder in (resources.files(__package__) / "sql").iterdir()
        for file in folder.iterdir()
    }


@cache
def query(name: str) -> SQL:
    """Return the statement in ``sql/<folder>/<name>.sql``.

    :raises KeyError: there is no such statement: a mistake in the program.
    """
    return SQL(statement_files()[name].read_text(encoding="utf-8"))
