"""The faults by name, as the modules beside this one define them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.round import Round
    from tests.faults.weather import Weather

MEMBERS = ("worker 0", "worker 1", "scheduler")

Fault = Callable[["Weather"], Iterator[None]]
FAULTS: dict[str, Fault] = {}
REQUESTED: dict[str, Fault] = {}
"""Faults that are brought only where they are named: aimed at what those of `FAULTS` hit by chance."""


def fault(function: Fault) -> Fault:
    """Make a fault of a generator: it begins, yields while the fault lasts, and puts things right."""
    FAULTS[name_of(function)] = function
    return function


NEEDS: dict[str, Callable[[Round], bool]] = {}
"""Faults that not every round can have."""


def needs(condition: Callable[[Round], bool]) -> Callable[[Fault], Fault]:
    """Have a fault brought by chance only over rounds of which this is true."""

    def note(function: Fault) -> Fault:
        NEEDS[name_of(function)] = condition
        return function

    return note


def possible(a_round: Round) -> list[str]:
    """Return the names of the faults that can be brought over a round by chance."""
    return sorted(name for name in FAULTS if name not in NEEDS or NEEDS[name](a_round))


def name_of(function: Fault) -> str:
    """Return the name of a fault."""
    return function.__name__.replace("_", " ")


def requested(function: Fault) -> Fault:
    """Make a fault that is brought only where it is named."""
    REQUESTED[name_of(function)] = function
    return function
