"""The part of the contract's tests that has the most statements in it, on tables spread over hash partitions.

All of them, and those of the client and the store: `make test ARGS="--hash-partitions 4 tests/acceptance"`,
or the soak test below.
"""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.test_commands import (  # noqa: F401
    sent,
    test_more_work_is_held_in_order_and_sent_once_in_order_on_resume,
)
from tests.acceptance.test_failures import test_every_failed_task_is_listed_with_its_details  # noqa: F401
from tests.acceptance.test_progress import (  # noqa: F401
    test_a_last_child_mark_may_stand_at_any_level,
    test_the_blocks_of_a_wide_task_are_put_together,
)
from tests.acceptance.test_propagation import (  # noqa: F401
    four_jobs,
    test_a_failure_goes_through_a_lattice_of_diamonds_once,
    test_true_when_t1_fails_t2_t3_and_t4_are_marked_failed,
)
from tests.acceptance.test_redelivery import (  # noqa: F401
    test_a_release_is_sent_once_with_the_same_task_id,
    test_they_change_nothing,
)
from tests.acceptance.test_release import (  # noqa: F401
    test_a_diamond_is_released_once,
    test_a_suspended_partition_id_sends_nothing_until_it_is_resumed,
    test_prerequisites_may_complete_at_the_same_moment_on_different_workers,
)
from tests.acceptance.test_retention import (  # noqa: F401
    often,
    retaining,
    test_jobs_are_removed_after_their_time_and_not_before,
)
from tests.hash_partitions.conftest import NUMBER
from tests.jobs.test_prerequisites import test_a_cycle_through_stored_jobs_is_named  # noqa: F401
from tests.jobs.test_submit import (  # noqa: F401
    test_jobs_of_many_partition_ids_go_in_one_call,
    test_the_same_job_again_is_a_no_op,
)
from tests.support.databases import spread_over_hash_partitions
from tracker.store.connect import connect
from tracker.store.migrate import migrate

_ROOT = Path(__file__).parents[2]


def test_every_table_of_tenants_is_spread(database_url: str) -> None:
    with closing(connect(database_url)) as connection:
        rows = connection.execute(
            """
            SELECT relname, (SELECT count(*) FROM pg_inherits WHERE inhparent = pg_class.oid)
            FROM pg_class
            JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'tenant_key'
            WHERE relnamespace = 'tracker'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
                AND relname <> 'tenant'
            """
        ).fetchall()
    assert len(rows) > 10
    assert {number for _, number in rows} == {NUMBER}


ROWS = """
INSERT INTO tenant (partition_id) SELECT 'tenant-' || n FROM generate_series(1, 100) AS n;
INSERT INTO job (tenant_key, job_id, content_hash) SELECT tenant_key, 'job', '' FROM tenant;
"""
# Of the table as a whole, and of what it consists of, each once.
PROPERTIES = (
    """
    SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = 'job'::regclass ORDER BY conname
    """,
    """
    SELECT indexname, replace(indexdef, ' ONLY ', ' ') FROM pg_indexes
    WHERE tablename = 'job' ORDER BY indexname
    """,
    """
    SELECT attname, format_type(atttypid, atttypmod), attnotnull, attcollation, pg_get_expr(adbin, adrelid)
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = 'job'::regclass AND attnum > 0 ORDER BY attnum
    """,
    "SELECT has_table_privilege('pg_monitor', 'job', 'SELECT')",
    "SELECT * FROM job ORDER BY tenant_key",
    """
    SELECT DISTINCT reloptions FROM pg_class
    WHERE relkind = 'r' AND relname ~ '^job(_[0-9])?$' AND relnamespace = 'tracker'::regnamespace
    """,
    """
    SELECT DISTINCT attname, attoptions FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE attoptions IS NOT NULL AND relname ~ '^job(_[0-9])?$'
    """,
)


def test_tables_in_use_are_spread_with_all_that_they_have(empty_database_url: str) -> None:
    """Rows, keys, indexes, storage, what the planner is to believe, privileges; and again changes nothing."""
    migrate(empty_database_url)
    with closing(connect(empty_database_url, autocommit=True)) as connection:
        connection.execute(ROWS)
        connection.execute("GRANT SELECT ON job TO pg_monitor")
        before = [connection.execute(query.encode()).fetchall() for query in PROPERTIES]
        for _ in range(2):
            spread_over_hash_partitions(empty_database_url, NUMBER)
            after = [connection.execute(query.encode()).fetchall() for query in PROPERTIES]
            assert after == before
        used = connection.execute("SELECT count(DISTINCT tableoid) FROM job").fetchall()
    assert used == [(NUMBER,)]


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_whole_contract_holds() -> None:
    """Of the store's tests, the plans have hash partitions among their states already."""
    arguments = ["--hash-partitions", str(NUMBER), "-q", "tests/acceptance", "tests/jobs", "tests/store"]
    subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=_ROOT, check=True)
