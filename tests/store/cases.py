"""Cases of plan tests: a statement its parameters on the tables that `seed.sql` fills, its bounds."""

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from tests.store.plans import Plan, lock_orders
from tracker.store.steps import Query

STATES = ("analysed", "never analysed", "analysed on its first day", "in hash partitions")
"""What the planner knows of the tables."""

N = 1000

KEY = ("tenant_key", "job_key")
EDGE = ("tenant_key", "prerequisite_job_id", "job_key")
PROGRESS = ("topic", "kafka_partition")
OUTBOX = (*KEY, "held_number")
"""The orders in which rows are locked."""


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


@dataclass(frozen=True)
class Case:
    """A statement, how many rows it may look at and pages it may ask for, and an index that it needs.

    `locks`: the columns by whose order it locks rows, for each place where it waits for locks. `query` is the
    statement with its parameters where it is put together from several files; `parts` are the others' names.
    """

    name: str
    parameters: dict[str, Any]
    rows: int
    buffers: int
    index: str = ""
    locks: tuple[tuple[str, ...], ...] = ()
    query: Query | None = None
    parts: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "+".join((self.name, *self.parts))


def assert_frugal(plan: Plan, case: Case, small: Set[str] = frozenset({"deployment"})) -> None:
    """Fail if a plan is not within the bounds of its case. It may read `small` tables as a whole."""
    assert plan.whole_tables() <= small
    assert case.index in plan.indexes() | {""}
    assert plan.rows_looked_at() <= case.rows
    assert plan.buffers() <= case.buffers


def assert_locks_in_order(plan: Plan, case: Case) -> None:
    """Fail if a plan locks rows in another order than its case says."""
    orders = lock_orders(plan)
    assert len(orders) == len(case.locks)
    for order in case.locks:
        assert any(found[: len(order)] == order for found in orders), f"{order} is not among {orders}"
