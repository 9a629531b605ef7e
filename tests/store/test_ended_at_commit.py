"""PostgreSQL ends a session in the middle of a COMMIT: the answer and the end come together."""

import psycopg
import pytest

from tracker.errors import DatabaseUnavailable
from tracker.store.explain import explain
from tracker.store.session import ended_at_commit

TWO_RESULTS = psycopg.InternalError("received 2 results from command 'COMMIT'")
"""The error of psycopg 3.3. A chaos run met it once, in the scheduler."""


def test_it_is_a_lost_session() -> None:
    with pytest.raises(psycopg.OperationalError, match="the session ended at COMMIT"), ended_at_commit():
        raise TWO_RESULTS


def test_users_see_that_the_database_is_unavailable() -> None:
    assert isinstance(explain(TWO_RESULTS), DatabaseUnavailable)


def test_an_internal_error_of_postgresql_stays_what_it_is() -> None:
    with pytest.raises(psycopg.errors.DataCorrupted), ended_at_commit():
        raise psycopg.errors.DataCorrupted("a page is damaged")
