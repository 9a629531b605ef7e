"""A client's session whose plans a test sees."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import psycopg

from tests.store.cases import Case
from tests.store.plans import Plan, PlanLog, undo, watched
from tracker.store.connect import connect
from tracker.store.queries import query


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
