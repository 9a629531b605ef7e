"""The SQL of the job store: one statement a file, in `tracker/store/sql`, named for what it does.

A file starts with a comment that says what the statement is for. Parameters are psycopg's,
``%(name)s``, and bulk parameters are arrays that the statement takes apart with ``unnest``.
"""

from functools import cache
from importlib import resources

from psycopg.sql import SQL


@cache
def query(name: str) -> SQL:
    """Return the statement in ``sql/<name>.sql``.

    :raises FileNotFoundError: there is no such statement: a mistake in the program.
    """
    text = (resources.files(__package__) / "sql" / f"{name}.sql").read_text(encoding="utf-8")
    return SQL(text)
