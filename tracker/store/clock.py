"""Compares this machine's clock with PostgreSQL's."""

import time
from typing import Any

import psycopg

from tracker.errors import TrackerError
from tracker.store.connect import Conninfo, connected
from tracker.store.queries import query

_AGREEMENT_S = 1.0


def seconds_ahead(connection: psycopg.Connection[Any]) -> float:
    """Return by how much this machine's clock is ahead of PostgreSQL's; negative if it is behind."""
    before = time.time()
    [(server_time,)] = connection.execute(query("read_clock")).fetchall()
    return (before + time.time()) / 2 - float(server_time)


def describe_clock(conninfo: Conninfo) -> str:
    """Return a clause that says how far the clock is from PostgreSQL's."""
    try:
        with connected(conninfo, application_name="tracker clock") as connection:
            ahead_s = seconds_ahead(connection)
    except (psycopg.Error, TrackerError):
        return "PostgreSQL could not be asked how far it is off"
    if abs(ahead_s) < _AGREEMENT_S:
        return (
            "it agrees with PostgreSQL's: look at the brokers' clocks, and at the topic's message.timestamp.*"
        )
    return f"it is {difference(ahead_s)} PostgreSQL's"


def difference(ahead_s: float) -> str:
    """Return the difference of two clocks in words, such as ``3,605 s ahead of``."""
    return f"{abs(ahead_s):,.0f} s {'behind' if ahead_s < 0 else 'ahead of'}"


def refused_clock(conninfo: Conninfo) -> str:
    """Return what the tracker waits for when Kafka refuses the time of its messages."""
    return f"Kafka refuses this machine's time: {describe_clock(conninfo)}"
