"""The SQL of the job store: one statement in each file, in a folder of `tracker/store/sql`.

A file is named for what its statement does, and starts with a comment that says it. Parameters are psycopg's,
``%(name)s``; bulk parameters are arrays, which the statement expands with ``unnest``.
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from psycopg.sql import SQL


@cache
def statement_files() -> Mapping[str, Traversable]:
    """Return the file of each statement, by its name, which is unique across the folders."""
    return {
        file.name.removesuffix(".sql"): file
        for folder in (resources.files(__package__) / "sql").iterdir()
        for file in folder.iterdir()
    }


@cache
def query(name: str) -> SQL:
    """Return the statement in ``sql/<folder>/<name>.sql``.

    :raises KeyError: there is no such statement, which is a mistake in the program.
    """
    return SQL(statement_files()[name].read_text(encoding="utf-8"))
