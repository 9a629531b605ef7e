"""The roles of the database: each right that is granted is needed, and no other is."""

import re
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tracker.errors import TrackerError
from tracker.store import grants
from tracker.store.connect import connect
from tracker.store.grants import READ, RUN, Rights
from tracker.store.queries import statement_files

STATEMENTS = {name: file.read_text(encoding="utf-8") for name, file in statement_files().items()}
# Those of the role that migrates.
OF_THE_OWNER = {"create_schema_migration", "insert_schema_migration"}
# They read and write nothing, and EXPLAIN does not take them.
WITHOUT_RIGHTS = {
    "begin_migration",
    "begin_snapshot",
    "compile_nothing",
    "let_statements_wait",
    "limit_lock_waits",
    "release_savepoint",
    "roll_back_to_savepoint",
    "set_savepoint",
}
# What the statements in COMPOSED are put together from.
PARTS = {
    "attempt_compares",
    "attempt_is_one_of",
    "completed_with_end",
    "completed_without_end",
    "find_dependents",
    "find_downstream",
    "first_tenants",
    "follows_id",
    "follows_id_descending",
    "follows_key",
    "follows_name",
    "follows_time",
    "has_label",
    "is_downstream",
    "matches_label",
    "matches_name",
    "matches_open_status",
    "matches_partition",
    "matches_prerequisite",
    "matches_status",
    "matches_tenant",
    "one_tenant",
    "percentage_compares",
    "percentage_is_one_of",
    "search_dependents",
    "search_each_status",
    "search_each_tenant",
    "search_newest",
    "search_completed",
    "search_open",
    "search_open_updated",
    "search_updated",
    "text_begins",
    "text_compares",
    "text_equals",
    "text_is_like",
    "text_is_none_of",
    "text_is_not_null",
    "text_is_null",
    "text_is_one_of",
    "text_is_unlike",
    "time_compares",
    "time_is_one_of",
    "waits_for",
    "waits_for_job",
}
COMPOSED = {
    "list_jobs",
    "count_jobs",
    "find_keys",
    "find_matching_tenants",
    "find_some",
    "lock_matching_jobs",
}
# What commands that only look send. `tracker job wait` asks for statuses, `tracker job watch` for more.
OF_THE_READER = {
    "list_schema_migrations",
    "find_schema_migration",
    "list_jobs",
    "count_jobs",
    "find_keys",
    "find_matching_tenants",
    "find_some",
    "estimate_jobs",
    "find_statuses",
    "find_watched_jobs",
    "list_watched_prerequisites",
    "find_tenants",
    "list_partitions",
    "list_task_failures",
    "find_job",
    "count_downstream",
    "list_blocks",
    "list_sibling_tasks",
    "read_workers",
    "is_scheduler_active",
    "read_database",
    "describe_standing",
    "find_action",
    "find_roots",
    "group_failures",
    "list_edges_above",
    "list_unmet_prerequisites",
    "sample_failures",
}

# Numbers are only taken from a sequence, and that right only looked at, when there is a row for them.
WITH_A_ROW = {"take_job_keys": "1", "hold_messages": "'{1}'"}


@pytest.fixture
def role(database_url: str) -> Iterator[str]:
    name = f"role_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'secret'").format(sql.Identifier(name)))
        try:
            yield name
        finally:
            connection.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(name)))


def statement(name: str) -> str:
    """Return a statement as the server takes it, with null for each parameter."""
    text = STATEMENTS[name]
    if name in COMPOSED:
        condition = STATEMENTS["matches_label"].format(key="'k'", test="label.label_value = ''", fence="")
        search = STATEMENTS["search_each_tenant"].format(
            conditions=condition, order="create_time", tenants="tenant"
        )
        if name == "find_matching_tenants":
            condition = "true"
        text = text.format(conditions=condition, order="create_time", search=search, time="create_time")
    return re.sub(r"%\(\w+\)[sb]?", WITH_A_ROW.get(name, "NULL"), text).replace("%%", "%")


def refused(connection: psycopg.Connection[Any], names: set[str]) -> set[str]:
    """Return which of the statements the connection's role may not execute."""
    found = set()
    for name in names:
        text = statement(name)
        try:
            if name.startswith("copy_"):
                with connection.cursor().copy(text.encode()):
                    pass
            else:
                # The server looks at the rights before it would execute, which EXPLAIN alone does not.
                explain = b"EXPLAIN ANALYZE " if name in WITH_A_ROW else b"EXPLAIN "
                connection.execute(explain + text.encode())
        except psycopg.errors.InsufficientPrivilege:
            found.add(name)
    return found


def run(url: str, text: str, *names: str) -> None:
    with closing(connect(url, autocommit=True)) as connection:
        connection.execute(sql.SQL(text).format(*map(sql.Identifier, names)))


@pytest.mark.parametrize(
    ("rights", "names"),
    [(RUN, set(STATEMENTS) - OF_THE_OWNER - WITHOUT_RIGHTS - PARTS), (READ, OF_THE_READER)],
    ids=["run", "read"],
)
def test_each_right_is_needed_and_none_is_missing(
    database_url: str, role: str, rights: Rights, names: set[str]
) -> None:
    grants.grant(database_url, [(role, rights)])
    each = [(right, "TABLE", table) for table, needed in rights.tables.items() for right in needed]
    each += [("USAGE", "SEQUENCE", sequence) for sequence in rights.sequences]
    with closing(
        connect(make_conninfo(database_url, user=role, password="secret"), autocommit=True)
    ) as connection:
        assert refused(connection, names) == set()
        idle = []
        for right, kind, name in each:
            run(database_url, f"REVOKE {right} ON {kind} tracker.{{}} FROM {{}}", name, role)
            if not refused(connection, names):
                idle.append((right, name))
            run(database_url, f"GRANT {right} ON {kind} tracker.{{}} TO {{}}", name, role)
    assert idle == []


def test_a_role_is_left_with_no_other_right_on_the_schema(database_url: str, role: str) -> None:
    run(
        database_url,
        "GRANT ALL ON SCHEMA tracker TO {0}; GRANT ALL ON ALL TABLES IN SCHEMA tracker TO {0}",
        role,
    )
    grants.grant(database_url, [(role, READ)])
    with closing(connect(database_url)) as connection:
        found = connection.execute(
            "SELECT table_name, privilege_type FROM information_schema.table_privileges WHERE grantee = %s",
            [role],
        ).fetchall()
        [creates] = connection.execute(
            "SELECT has_schema_privilege(%s, 'tracker', 'CREATE')", [role]
        ).fetchall()
    # The view does not list rights to some columns.
    listed = [(table, right) for table, rights in READ.tables.items() for right in rights if "(" not in right]
    assert set(found) == set(listed)
    assert creates == (False,)


def test_nobody_has_rights_that_were_not_granted(database_url: str, role: str) -> None:
    url = make_conninfo(database_url, user=role, password="secret")
    with closing(connect(url)) as connection, pytest.raises(TrackerError) as caught:
        grants.require(connection, READ)
    assert "permission denied for schema tracker" in str(caught.value)


def test_what_a_role_lacks_is_one_sentence_with_the_way_out(database_url: str, role: str) -> None:
    grants.grant(database_url, [(role, RUN)])
    run(database_url, "REVOKE DELETE, UPDATE ON tracker.outbox FROM {0}", role)
    run(database_url, "REVOKE USAGE ON SEQUENCE tracker.job_job_key_seq FROM {0}", role)
    with closing(connect(make_conninfo(database_url, user=role, password="secret"))) as connection:
        with pytest.raises(TrackerError) as caught:
            grants.require(connection, RUN)
        connection.rollback()
        assert str(caught.value) == (
            f"the role '{role}' lacks UPDATE on outbox, DELETE on outbox, USAGE on job_job_key_seq: "
            f"the owner of the schema grants it, with 'tracker migrate --grant-run {role}'"
        )
        grants.grant(database_url, [(role, RUN)])
        grants.require(connection, RUN)


def test_a_role_that_does_not_exist_is_a_sentence_and_grants_nothing(database_url: str, role: str) -> None:
    with pytest.raises(TrackerError, match="no role 'nobody; DROP'"):
        grants.grant(database_url, [(role, RUN), ("nobody; DROP", READ)])
    with closing(connect(database_url)) as connection:
        [(usable,)] = connection.execute(
            "SELECT has_schema_privilege(%s, 'tracker', 'USAGE')", [role]
        ).fetchall()
    assert usable is False
