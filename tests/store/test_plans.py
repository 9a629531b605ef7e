"""Every hot query reaches its rows by index, whatever the planner last knew of the tables.

The plans are those of the store's own statements, sent as the store sends them, on 300,000 jobs.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from tests.store.conftest import STATES
from tests.store.plans import Plan, PlanLog, lock_orders
from tracker.jobs import query as job_query
from tracker.jobs.filter import JobFilter, Page
from tracker.store.batch_store import BatchStore
from tracker.store.connect import connect
from tracker.store.queries import query
from tracker.store.retention_store import RetentionStore
from tracker.store.schedule_store import ScheduleStore
from tracker.store.steps import Query

N = 1000


def numbers(digit: int, count: int = N) -> list[tuple[int, int]]:
    """Return (tenant, job) of jobs whose number ends with a digit (see seed.sql), of all tenants in turn."""
    return [(place % 40 + 1, place // 40 * 10 + (digit or 10)) for place in range(count)]


def keys(digit: int, count: int = N) -> dict[str, list[int]]:
    tenants, jobs = zip(*numbers(digit, count), strict=True)
    return {
        "tenant_keys": list(tenants),
        "job_keys": [(tenant - 1) * 5000 + job for tenant, job in zip(tenants, jobs, strict=True)],
    }


def names(digit: int, count: int = N) -> dict[str, list[str]]:
    return {
        "partition_ids": [f"tenant-{tenant}" for tenant, _ in numbers(digit, count)],
        "job_ids": [f"job-{job}" for _, job in numbers(digit, count)],
    }


def completed(digit: int) -> dict[str, list[Any]]:
    """Return the parameters for jobs that a batch has completed."""
    return {
        "tenant_keys": keys(digit)["tenant_keys"],
        "job_ids": names(digit)["job_ids"],
        "topics": ["tracking"] * N,
        "kafka_partitions": [63] * N,
        "offsets": list(range(N)),
        "correlation_ids": [None] * N,
    }


@dataclass(frozen=True)
class Case:
    """A statement, how many rows it may look at and pages it may ask for, and an index that it needs."""

    name: str
    parameters: dict[str, Any]
    rows: int
    buffers: int
    index: str = ""

    def __str__(self) -> str:
        return self.name


PLACE: dict[str, Any] = {"topics": ["tracking"], "kafka_partitions": [1]}
TASK = {"paths": ["1"] * N}
BLOCK = TASK | {"blocks": [1] * N}

BATCH = [
    Case("lock_progress", PLACE, 1, 20, "kafka_progress_pkey"),
    Case("lock_batch_jobs", names(5), N, 10 * N, "job_tenant_key_job_id_key"),
    # 100 jobs, and 5,000 downstream of them in chains of up to 500.
    Case(
        "lock_batch_jobs_and_downstream",
        names(8, 100) | {"may_fail": [True] * 100},
        25_000,
        20 * 25_000,
        "prerequisite_pkey",
    ),
    Case("list_downstream", keys(8, 100), 25_000, 12 * 25_000, "prerequisite_pkey"),
    Case("load_tasks", keys(5) | TASK, N, 6 * N, "task_pkey"),
    Case("load_blocks", keys(5) | BLOCK, N, 6 * N, "task_block_pkey"),
    Case("store_blocks", keys(5) | BLOCK | {"completed": [b"\3"] * N, "tracked": [b""] * N}, N, 12 * N),
    Case(
        "store_tasks",
        keys(5)
        | TASK
        | {"reported": [1] * N, "failed": [False] * N, "last_child": [3] * N, "highest_child": [3] * N}
        | {"completed_children": [1] * N, "failed_children": [0] * N, "children_percentage": [5] * N},
        N,
        12 * N,
    ),
    Case(
        "store_failures",
        keys(5)
        | TASK
        | {"failure_ids": ["broken"] * N, "failure_times_ms": [1] * N}
        | {"failure_sources": ["sorter"] * N, "failure_messages": ["out of order"] * N},
        N,
        12 * N,
    ),
    Case("remove_tasks", keys(5) | TASK, N, 8 * N, "task_pkey"),
    # Two blocks each.
    Case("remove_subtrees", keys(5) | TASK, 2 * N, 8 * N, "task_block_pkey"),
    Case("remove_failures", keys(5) | TASK, N, 8 * N, "task_failure_pkey"),
    # Six blocks each.
    Case("remove_task_state", keys(5), 6 * N, 8 * 6 * N, "task_block_pkey"),
    Case("summarize_failures", keys(5), N, 30 * N, "task_failure_pkey"),
    Case("update_jobs", keys(6) | {"statuses": [1] * N, "percentages": [5] * N}, N, 10 * N, "job_pkey"),
    # 5,000 messages each.
    Case("drop_held_messages", keys(8, 2), 10_000, 2 * 10_000 + 1_000, "held_message_pkey"),
    Case(
        "hold_messages",
        keys(8)
        | {"destinations": ["sort-in"] * N, "message_keys": [None] * N}
        | {"message_values": [b"{}"] * N, "headers": [None] * N}
        | {"source_topics": ["tracking"] * N, "source_partitions": [0] * N}
        | {"source_offsets": list(range(N)), "source_times_ms": [0] * N},
        N,
        10 * N,
    ),
    Case(
        "lock_edges",
        {
            "completed_tenant_keys": keys(8)["tenant_keys"],
            "completed_job_ids": names(8)["job_ids"],
            **keys(9),
        },
        3 * N,
        10 * 3 * N,
        "prerequisite_pkey",
    ),
    Case("meet_prerequisites", completed(8), N, 50 * N, "prerequisite_pkey"),
    # 50 jobs, and 20,000 downstream; those of ten tenants are found from two of them. Two edges each.
    Case("fail_dependents", keys(8, 50), 41_000, 50 * 41_000, "prerequisite_pkey"),
    Case(
        "read_outbox",
        PLACE | {"first_offsets": [3000], "next_offsets": [3200]},
        200,
        16 * 200,
        "outbox_source",
    ),
    Case("postpone_tasks", keys(5) | {"delay_s": 10}, N, 16 * N, "outbox_pkey"),
    Case("clear_outbox", PLACE | {"committed_offsets": [100]}, 100, 16 * 100, "outbox_source"),
]
SCHEDULE = [
    # Nobody's but those of the suspended tenant are due: 100,000, which are passed over whole.
    Case("enqueue_eligible_tasks", {"limit": N}, 200, 1000, "pending_task_eligible"),
    Case("enqueue_held_messages", {"limit": N}, 1, 20, "resumed_job_pkey"),
    Case("delete_resumed_jobs", {}, 1, 20, "resumed_job_pkey"),
    # 2,000 notes of 40 tenants.
    Case("take_dropped_work", {"limit": N}, N, 12 * N, "dropped_work_pkey"),
    Case(
        "read_unsent",
        {"sent_number": 10_000, "limit": N, "limit_bytes": 1 << 25},
        N,
        20 * N,
        "outbox_send_number",
    ),
    Case("delete_published", {"sent_number": N}, N, 16 * N, "outbox_send_number"),
]
# From a place in the middle of a tenant on, and of jobs that are all too young.
WALK: dict[str, Any] = {"tenant_key": 7, "create_time": None, "job_key": 0, "limit": N}
NO_TIME, HOUR = {"ended_s": 0, "failed_s": 0}, {"ended_s": 3600, "failed_s": None}
RETENTION = [
    Case("find_expired_jobs", WALK | NO_TIME, N + 1, 6 * N, "job_create_time"),
    Case("find_expired_jobs", WALK | HOUR, 41, 6 * 41, "job_create_time"),
    Case("lock_expired_jobs", keys(4) | NO_TIME, N, 10 * N, "job_pkey"),
    # A label each.
    Case("remove_expired_jobs", keys(4, N // 2), N, 60 * N, "prerequisite_pkey"),
    # 40 jobs with 500 rows in each of three tables.
    Case("remove_leftovers", {"limit": N}, N, 30 * N, "removed_job_pkey"),
]
KEY = ("tenant_key", "job_key")
EDGE = ("tenant_key", "prerequisite_job_id", "job_key")
OUTBOX = (*KEY, "held_number")
LOCK_ORDERS: dict[str, list[tuple[str, ...]]] = {
    "lock_progress": [("topic", "kafka_partition")],
    "lock_batch_jobs": [KEY],
    "lock_batch_jobs_and_downstream": [KEY],
    "lock_edges": [EDGE],
    "meet_prerequisites": [EDGE, KEY],
    "fail_dependents": [EDGE, KEY],
    "postpone_tasks": [KEY, KEY],
    "clear_outbox": [OUTBOX, KEY],
    "delete_published": [OUTBOX, KEY],
    "lock_expired_jobs": [KEY],
}


@pytest.fixture(scope="module", params=STATES)
def stores(
    request: pytest.FixtureRequest, full_databases: dict[str, str]
) -> Iterator[dict[type, tuple[Any, PlanLog]]]:
    """The stores, and the plans of what they do."""
    url = full_databases[request.param]
    made: dict[type, tuple[Any, PlanLog]] = {}
    for store in (BatchStore(url), ScheduleStore(url), RetentionStore(url, 0, 0)):
        store.connect()
        made[type(store)] = store, watched(store)
    yield made
    for store, _ in made.values():
        store.close()


def watched(store: Any) -> PlanLog:
    return watched_connection(store._open)


def watched_connection(connection: psycopg.Connection[Any]) -> PlanLog:
    try:
        return PlanLog(connection)
    except psycopg.errors.UndefinedFile:
        pytest.skip("this PostgreSQL has no auto_explain")


def plan_of(stores: dict[type, tuple[Any, PlanLog]], kind: type, case: Case) -> Plan:
    """Execute the statement, and undo it."""
    store, log = stores[kind]
    log.take()
    with store._open.transaction():
        cursor = store._execute(case.name, **case.parameters)
        if cursor.description is not None:
            cursor.fetchall()
        undo()
    [plan] = [plan for plan in log.take() if plan.statement.startswith("--")]
    return plan


def undo() -> None:
    raise psycopg.Rollback


def assert_frugal(plan: Plan, case: Case) -> None:
    assert plan.whole_tables() <= {"deployment"}  # which has one row
    assert case.index in plan.indexes() | {""}
    assert plan.rows_looked_at() <= case.rows
    assert plan.buffers() <= case.buffers


@pytest.mark.parametrize("case", BATCH, ids=str)
def test_a_batch_reaches_its_rows_by_index(stores: dict[type, tuple[Any, PlanLog]], case: Case) -> None:
    plan = plan_of(stores, BatchStore, case)
    assert_frugal(plan, case)


@pytest.mark.parametrize("case", SCHEDULE, ids=str)
def test_the_scheduler_reaches_its_rows_by_index(stores: dict[type, tuple[Any, PlanLog]], case: Case) -> None:
    assert_frugal(plan_of(stores, ScheduleStore, case), case)


@pytest.mark.parametrize("case", RETENTION, ids=str)
def test_retention_reaches_its_rows_by_index(stores: dict[type, tuple[Any, PlanLog]], case: Case) -> None:
    assert_frugal(plan_of(stores, RetentionStore, case), case)


LOCKING = [case for case in BATCH + SCHEDULE + RETENTION if case.name in LOCK_ORDERS]


@pytest.mark.parametrize("case", LOCKING, ids=str)
def test_rows_are_locked_in_the_order_of_their_keys(
    stores: dict[type, tuple[Any, PlanLog]], case: Case
) -> None:
    """Two transactions that want the same rows wait for each other, and never in a cycle."""
    kind = ScheduleStore if case in SCHEDULE else RetentionStore if case in RETENTION else BatchStore
    orders = lock_orders(plan_of(stores, kind, case))
    assert len(orders) == len(LOCK_ORDERS[case.name])
    for order in LOCK_ORDERS[case.name]:
        assert any(found[: len(order)] == order for found in orders), f"{order} is not among {orders}"


def test_no_statement_is_planned_for_the_values_that_came_first(
    stores: dict[type, tuple[Any, PlanLog]],
) -> None:
    """The sixth execution is planned by the tables' size at that moment, as the first one."""
    store, _ = stores[BatchStore]
    for _ in range(7):
        store._execute("load_tasks", **keys(5, 10), paths=["1"] * 10).fetchall()
    rows = store._open.execute(
        "SELECT sum(generic_plans), sum(custom_plans) FROM pg_prepared_statements"
    ).fetchall()
    [(generic, custom)] = rows
    assert generic == 0
    assert custom >= 7


# What the client asks


def tenant_names(digit: int, count: int = N) -> dict[str, list[Any]]:
    """Return the parameters that name jobs by their tenants' keys."""
    return {
        "tenant_keys": keys(digit, count)["tenant_keys"],
        "job_ids": names(digit, count)["job_ids"],
    }


SUBMIT = [
    Case("share_prerequisite_jobs", tenant_names(8), N, 10 * N, "job_tenant_key_job_id_key"),
    Case(
        "find_awaited_jobs",
        tenant_names(8) | {"first_keys": [1], "last_keys": [3]},
        3 * N,
        10 * N,
        "prerequisite_pkey",
    ),
    # Of the chains, only as much as is asked for.
    Case("reach_prerequisites", tenant_names(9, 40) | {"limit": N}, 3 * N, 12 * N, "prerequisite_of_job"),
    Case(
        "delete_new_edges",
        {
            "tenant_keys": keys(9)["tenant_keys"],
            "prerequisite_job_ids": names(8)["job_ids"],
            "job_keys": keys(9)["job_keys"],
        },
        2 * N,
        30 * N,
        "prerequisite_pkey",
    ),
]


@pytest.fixture(scope="module")
def client_session(analysed: str) -> Iterator[tuple[psycopg.Connection[Any], PlanLog]]:
    with closing(connect(analysed, autocommit=True)) as connection:
        yield connection, watched_connection(connection)


def client_plan(session: tuple[psycopg.Connection[Any], PlanLog], query: Query) -> Plan:
    connection, log = session
    log.take()
    connection.execute(query.statement, query.parameters, binary=True).fetchall()
    [plan] = log.take()
    return plan


def first_query(verb: Any) -> Query:
    step = next(verb.begin())
    assert isinstance(step, Query)
    return step


def test_the_newest_jobs_of_all_are_the_newest_of_each_tenant(
    client_session: tuple[psycopg.Connection[Any], PlanLog],
) -> None:
    plan = client_plan(client_session, first_query(job_query.list_jobs(page=Page(limit=10))))
    assert "job_create_time" in plan.indexes()
    assert plan.rows_looked_at() <= 41 * 10
    assert "job" not in plan.whole_tables()


def test_some_jobs_are_found_by_name(client_session: tuple[psycopg.Connection[Any], PlanLog]) -> None:
    jobs = [f"tenant-{tenant}:job-{job}" for tenant, job in numbers(5, 100)]
    plan = client_plan(client_session, first_query(job_query.wait_for_jobs(jobs)))
    assert "job_tenant_key_job_id_key" in plan.indexes()
    assert plan.rows_looked_at() <= 100


def test_a_tenants_jobs_are_counted_by_index(
    client_session: tuple[psycopg.Connection[Any], PlanLog],
) -> None:
    plan = client_plan(client_session, first_query(job_query.count_jobs(JobFilter(partition_id="tenant-7"))))
    assert plan.rows_looked_at() <= 5000
    assert "job" not in plan.whole_tables()


@pytest.mark.parametrize("case", SUBMIT, ids=str)
def test_a_submit_under_its_locks_reaches_its_rows_by_index(
    client_session: tuple[psycopg.Connection[Any], PlanLog], case: Case
) -> None:
    connection, log = client_session
    log.take()
    with connection.transaction():
        connection.execute(query("reach_rows_by_index"))
        connection.execute(query(case.name), case.parameters, binary=True)
        undo()
    [plan] = [plan for plan in log.take() if f"{query(case.name).as_string()}"[:60] in plan.statement]
    assert_frugal(plan, case)


def test_a_submit_locks_its_prerequisites_in_the_order_of_their_keys(
    client_session: tuple[psycopg.Connection[Any], PlanLog],
) -> None:
    connection, log = client_session
    log.take()
    with connection.transaction():
        connection.execute(query("reach_rows_by_index"))
        connection.execute(query("share_prerequisite_jobs"), tenant_names(8), binary=True)
    [plan] = [plan for plan in log.take() if "FOR SHARE" in plan.statement]
    assert lock_orders(plan) == [KEY]
