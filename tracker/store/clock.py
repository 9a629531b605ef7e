"""How far this machine's clock is off."""

import time
from typing import Any

import psycopg

from tracker.errors import TrackerError
from tracker.store.connect import Conninfo, connected
from tracker.store.queries import query

_AGREES_S = 1.0


def seconds_ahead(connection: psycopg.Connection[Any]) -> float:
    """Return how far this machine's clock is ahead of PostgreSQL's; negative where it is slow."""
    began = time.time()
    [(theirs,)] = connection.execute(query("read_clock")).fetchall()
    return (began + time.time()) / 2 - float(theirs)


def describe_clock(conninfo: Conninfo) -> str:
    """Say in a clause how far the clock is off."""
    try:
        with connected(conninfo, application_name="tracker clock") as connection:
            ahead_s = seconds_ahead(connection)
    except (psycopg.Error, TrackerError):
        return "PostgreSQL does not say how far it is off"
    if abs(ahead_s) < _AGREES_S:
        return (
            "it agrees with PostgreSQL's: look at the brokers' clocks, and at the topic's message.timestamp.*"
        )
    return f"it is {difference(ahead_s)} PostgreSQL's"


def difference(ahead_s: float) -> str:
    """Say how far one clock is from another, such as ``3,605 s ahead of``."""
    return f"{abs(ahead_s):,.0f} s {'behind' if ahead_s < 0 else 'ahead of'}"


def refused_clock(conninfo: Conninfo) -> str:
    """Say what is waited for where Kafka refuses the time of this machine's messages."""
    return f"Kafka refuses this machine's time: {describe_clock(conninfo)}"
