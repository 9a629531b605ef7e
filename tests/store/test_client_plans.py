"""What clients ask reaches its rows by index."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import psycopg
import pytest

from tests.store.cases import STATES, Case, assert_frugal, assert_locks_in_order
from tests.store.client_cases import CHANGE, LISTS, QUERY, SUBMIT, UNDER_LOCKS
from tests.store.plans import Plan, PlanLog, undo, watched
from tracker.store.connect import connect
from tracker.store.queries import query

SMALL = {"deployment", "resumed_job", "tenant"}


class Session(NamedTuple):
    """A client's session, and the plans of what it does."""

    connection: psycopg.Connection[Any]
    log: PlanLog

    def plan_of(self, case: Case, *, by_index: bool = False) -> Plan:
        """Execute the statement, and undo it."""
        self.log.take()
        with self.connection.transaction():
            if by_index:
                self.connection.execute(query("reach_rows_by_index"))
                self.log.take()
            if case.query is None:
                self.connection.execute(query(case.name), case.parameters, binary=True)
            else:
                self.connection.execute(case.query.statement, case.query.parameters, binary=True)
            undo()
        [plan] = self.log.take()
        return plan


@contextmanager
def open_session(url: str) -> Iterator[Session]:
    with closing(connect(url, autocommit=True)) as connection:
        yield Session(connection, watched(connection))


@pytest.fixture(scope="module")
def session(analysed: str) -> Iterator[Session]:
    """On tables of which the planner knows everything: it is free to choose."""
    with open_session(analysed) as session:
        yield session


@pytest.fixture(scope="module", params=STATES)
def locking_session(request: pytest.FixtureRequest, full_databases: dict[str, str]) -> Iterator[Session]:
    """Whatever the planner last knew of the tables: a submit that has its locks sets how plans are made."""
    with open_session(full_databases[request.param]) as session:
        yield session


@pytest.mark.parametrize("case", SUBMIT + CHANGE + QUERY + LISTS, ids=str)
def test_a_client_reaches_its_rows_by_index(session: Session, case: Case) -> None:
    assert_frugal(session.plan_of(case), case, SMALL)


@pytest.mark.parametrize("case", UNDER_LOCKS, ids=str)
def test_a_submit_under_its_locks_reaches_its_rows_by_index(locking_session: Session, case: Case) -> None:
    assert_frugal(locking_session.plan_of(case, by_index=True), case)


@pytest.mark.parametrize("case", [case for case in CHANGE + UNDER_LOCKS if case.locks], ids=str)
def test_a_client_locks_rows_in_the_order_of_their_keys(session: Session, case: Case) -> None:
    assert_locks_in_order(session.plan_of(case, by_index=case in UNDER_LOCKS), case)
