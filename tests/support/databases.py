"""Databases that tests make."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tracker.stack import LocalStack

_HASH_PARTITIONS = Path(__file__).parents[2] / "deploy" / "hash-partitions.sql"


@contextmanager
def new_database(stack: LocalStack, template: str) -> Iterator[tuple[str, str]]:
    """Make a database for as long as the block lasts; give its name and URL."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute(create)
        try:
            yield name, make_conninfo(stack.database_url, dbname=name)
        finally:
            connection.execute(drop)


def spread_over_hash_partitions(database_url: str, number: int) -> None:
    """Do what an operator does whose tables have become too large."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"SET tracker.hash_partitions = {number}")
        connection.execute(_HASH_PARTITIONS.read_bytes())
