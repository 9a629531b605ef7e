"""What clients ask reaches its rows by index. Their statements under locks are in `test_plans.py`."""

from collections.abc import Iterator

import pytest

from tests.store.cases import Case, assert_frugal, assert_locks_in_order
from tests.store.client_cases import CHANGE, LISTS, MATCHING, QUERY, SUBMIT, WHY
from tests.store.client_session import Session, open_session

SMALL = {"action", "deployment", "job_note", "resumed_job", "tenant"}


@pytest.fixture(scope="module")
def session(analysed: str) -> Iterator[Session]:
    """On tables of which the planner knows everything: it is free to choose."""
    with open_session(analysed) as session:
        yield session


@pytest.mark.parametrize("case", SUBMIT + CHANGE + MATCHING + QUERY + LISTS + WHY, ids=str)
def test_a_client_reaches_its_rows_by_index(session: Session, case: Case) -> None:
    assert_frugal(session.plan_of(case), case, SMALL)


@pytest.mark.parametrize("case", [case for case in CHANGE + MATCHING if case.locks], ids=str)
def test_a_client_locks_rows_in_the_order_of_their_keys(session: Session, case: Case) -> None:
    assert_locks_in_order(session.plan_of(case), case)
