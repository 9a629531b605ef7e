"""Changes that operators make to the role that the tracker logs in as."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import psycopg

from tests.faults.registry import fault

if TYPE_CHECKING:
    from tests.faults.fault_injector import FaultInjector


@fault
def a_role_that_may_only_read(injector: FaultInjector) -> Iterator[None]:
    """Sessions that begin meanwhile stay read-only afterwards, because nobody ends them."""
    login = injector.round.login
    login.may_only_read()
    yield
    _retry(injector, login.may_write)
    if injector.round.pooler:
        # PgBouncer gives the old sessions to new clients, until an operator tells it to RECONNECT.
        _retry(injector, login.end_sessions)


@fault
def a_changed_password(injector: FaultInjector) -> Iterator[None]:
    """For a while the file has the old password, which PostgreSQL refuses."""
    login = injector.round.login
    try:
        login.change_password()
        yield
    finally:
        login.write_file()


def _retry(injector: FaultInjector, call: Callable[[], None]) -> None:
    """Repeat a call until PostgreSQL is there: another fault may have stopped it."""
    while True:
        with suppress(psycopg.OperationalError):
            call()
            return
        injector.wait(0.1)
