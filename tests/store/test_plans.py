"""Every hot query reaches its rows by index, whatever the planner last knew of the tables.

The plans are those of the stores' own statements, sent as the stores send them, on 300,000 jobs. Most of
the clients' statements are in `test_client_plans.py`.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.store.batch_cases import BATCH
from tests.store.cases import STATES, Case, assert_frugal, assert_locks_in_order, keys
from tests.store.client_cases import UNDER_LOCKS
from tests.store.client_session import Session, open_session
from tests.store.plans import Plan, PlanLog, undo, watched
from tests.store.scheduler_cases import RETENTION, SCHEDULE
from tracker.store.batch_store import BatchStore
from tracker.store.retention_store import RetentionStore
from tracker.store.schedule_store import ScheduleStore

Stores = dict[type, tuple[Any, PlanLog]]
"""The stores, and the plans of what they do."""


@pytest.fixture(scope="module", params=STATES)
def stores(request: pytest.FixtureRequest, full_databases: dict[str, str]) -> Iterator[Stores]:
    url = full_databases[request.param]
    made: Stores = {}
    for store in (BatchStore(url), ScheduleStore(url), RetentionStore(url, 0, 0)):
        store.connect()
        made[type(store)] = store, watched(store._open)
    yield made
    for store, _ in made.values():
        store.close()


def plan_of(stores: Stores, kind: type, case: Case) -> Plan:
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


@pytest.mark.parametrize("case", BATCH, ids=str)
def test_a_batch_reaches_its_rows_by_index(stores: Stores, case: Case) -> None:
    assert_frugal(plan_of(stores, BatchStore, case), case)


@pytest.mark.parametrize("case", SCHEDULE, ids=str)
def test_the_scheduler_reaches_its_rows_by_index(stores: Stores, case: Case) -> None:
    assert_frugal(plan_of(stores, ScheduleStore, case), case)


@pytest.mark.parametrize("case", RETENTION, ids=str)
def test_retention_reaches_its_rows_by_index(stores: Stores, case: Case) -> None:
    assert_frugal(plan_of(stores, RetentionStore, case), case)


LOCKING: list[tuple[type, Case]] = [(BatchStore, case) for case in BATCH if case.locks]
LOCKING += [(ScheduleStore, case) for case in SCHEDULE if case.locks]
LOCKING += [(RetentionStore, case) for case in RETENTION if case.locks]


@pytest.mark.parametrize(("kind", "case"), LOCKING, ids=lambda value: getattr(value, "name", ""))
def test_rows_are_locked_in_the_order_of_their_keys(stores: Stores, kind: type, case: Case) -> None:
    """Two transactions that want the same rows wait for each other, and never in a cycle."""
    assert_locks_in_order(plan_of(stores, kind, case), case)


@pytest.fixture(scope="module", params=STATES)
def client_session(request: pytest.FixtureRequest, full_databases: dict[str, str]) -> Iterator[Session]:
    """A submit that has its locks sets how plans are made, because what the planner knows may be wrong."""
    with open_session(full_databases[request.param]) as session:
        yield session


@pytest.mark.parametrize("case", UNDER_LOCKS, ids=str)
def test_a_submit_under_its_locks_reaches_its_rows_by_index(client_session: Session, case: Case) -> None:
    plan = client_session.plan_of(case, by_index=True)
    assert_frugal(plan, case)
    assert_locks_in_order(plan, case)


def test_no_statement_is_planned_for_the_values_that_came_first(stores: Stores) -> None:
    """The sixth execution is planned by the tables' size at that moment, as the first one."""
    store, _ = stores[BatchStore]
    for _ in range(7):
        store._execute("load_sibling_tasks", **keys(5, 10), paths=["1"] * 10, numbers=[0] * 10).fetchall()
    rows = store._open.execute(
        "SELECT sum(generic_plans), sum(custom_plans) FROM pg_prepared_statements"
    ).fetchall()
    [(generic, custom)] = rows
    assert generic == 0
    assert custom >= 7
