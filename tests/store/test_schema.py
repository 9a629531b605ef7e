"""The schema can be spread by tenant as it is: shown from PostgreSQL's own catalogue."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from tracker.store.connect import connect

REFERENCE_TABLES = {
    "schema_migration",
    "tenant",
    "deployment",
    "kafka_progress",
    "record_skip",
    "worker_process",
    "action",
}
"""Small, and without a tenant: every machine would have a copy."""


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with closing(connect(database_url)) as connection:
        yield connection


def test_every_other_table_belongs_to_tenants(connection: psycopg.Connection[tuple[str]]) -> None:
    rows = connection.execute(
        """
        SELECT relname FROM pg_class
        WHERE relnamespace = 'tracker'::regnamespace AND relkind IN ('r', 'p') AND NOT EXISTS (
            SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'tenant_key' AND attnotnull
        )
        """
    )
    assert {name for (name,) in rows} | {"tenant"} == REFERENCE_TABLES


def test_the_tenant_leads_every_index_of_its_tables(connection: psycopg.Connection[tuple[str, str]]) -> None:
    """Primary and unique keys must, for a hash partition to enforce them; the others do so to be of use.

    The outbox is also read by what proves that it was published, for all tenants at once, and jobs that have
    not completed by their status.
    """
    rows = connection.execute(
        """
        SELECT indexes.relname, leading_column.attname
        FROM pg_index
        JOIN pg_class AS tables ON tables.oid = indrelid
        JOIN pg_class AS indexes ON indexes.oid = indexrelid
        LEFT JOIN pg_attribute AS leading_column ON attrelid = indrelid AND attnum = indkey[0]
        WHERE tables.relnamespace = 'tracker'::regnamespace AND tables.relname <> ALL (%s)
            AND NOT tables.relispartition
        """,
        [list(REFERENCE_TABLES)],
    ).fetchall()
    assert len(rows) > 10
    others = {index for index, column in rows if column != "tenant_key"}
    assert others <= {"outbox_send_number", "outbox_source", "job_open"}


def test_unique_keys_and_foreign_keys_begin_with_the_tenant(
    connection: psycopg.Connection[tuple[str, str, str]],
) -> None:
    rows = connection.execute(
        """
        SELECT tables.relname, conname, attname
        FROM pg_constraint
        JOIN pg_class AS tables ON tables.oid = conrelid
        JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
        WHERE connamespace = 'tracker'::regnamespace AND contype IN ('p', 'u', 'f', 'x')
        """
    ).fetchall()
    tables = {table for table, _, _ in rows}
    assert {"job", "label", "prerequisite", "task_message", "sibling_tasks", "task_block", "outbox"} <= tables
    assert {(table, name) for table, name, column in rows if column != "tenant_key"} == {
        ("schema_migration", "schema_migration_pkey"),
        ("tenant", "tenant_partition_id_key"),
        ("deployment", "deployment_pkey"),
        ("kafka_progress", "kafka_progress_pkey"),
        ("record_skip", "record_skip_pkey"),
        ("worker_process", "worker_process_pkey"),
        ("action", "action_pkey"),
    }


def test_the_schema_has_no_triggers_rules_or_functions(connection: psycopg.Connection[tuple[int]]) -> None:
    """No triggers, rules or functions: what a statement does is in its file."""
    row = connection.execute(
        """
        SELECT (SELECT count(*) FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
                WHERE relnamespace = 'tracker'::regnamespace)
             + (SELECT count(*) FROM pg_rewrite JOIN pg_class ON pg_class.oid = ev_class
                WHERE relnamespace = 'tracker'::regnamespace AND relkind = 'r')
             + (SELECT count(*) FROM pg_proc WHERE pronamespace = 'tracker'::regnamespace)
        """
    ).fetchone()
    assert row == (0,)
