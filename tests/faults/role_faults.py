"""What operators do to the role that the tracker logs in as."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import psycopg

from tests.faults.registry import fault

if TYPE_CHECKING:
    from tests.faults.weather import Weather


@fault
def a_role_that_may_only_read(weather: Weather) -> Iterator[None]:
    """Sessions that begin meanwhile stay so after it: nobody ends them."""
    login = weather.round.login
    login.may_only_read()
    yield
    _insist(weather, login.may_write)
    if weather.round.pooler:
        # It gives the old sessions to new clients: an operator has to tell it to RECONNECT.
        _insist(weather, login.end_sessions)


@fault
def a_changed_password(weather: Weather) -> Iterator[None]:
    """For a while the old one is in the file, and refused."""
    login = weather.round.login
    try:
        login.change_password()
        yield
    finally:
        login.write_file()


def _insist(weather: Weather, call: Callable[[], None]) -> None:
    """Call until PostgreSQL is there: another fault may have taken it away for a while."""
    while True:
        with suppress(psycopg.OperationalError):
            call()
            return
        weather.last(0.1)
