"""The faults by name. The modules `*_faults` of this folder define them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.fault_injector import FaultInjector
    from tests.faults.round import Round

MEMBERS = ("worker 0", "worker 1", "scheduler")

Fault = Callable[["FaultInjector"], Iterator[None]]
FAULTS: dict[str, Fault] = {}
"""What a chaos run draws from. A seed stands for these names: after a rename, it draws other faults."""
REQUESTED: dict[str, Fault] = {}
"""Faults that are injected only by name. They aim at what those of `FAULTS` hit by chance."""


def fault(function: Fault) -> Fault:
    """Register a generator as a fault: it starts the fault, yields while it lasts, and undoes it."""
    FAULTS[name_of(function)] = function
    return function


NEEDS: dict[str, Callable[[Round], bool]] = {}
"""Faults that only some rounds can have."""


def needs(condition: Callable[[Round], bool]) -> Callable[[Fault], Fault]:
    """Limit a fault to the rounds of which the condition is true."""

    def note(function: Fault) -> Fault:
        NEEDS[name_of(function)] = condition
        return function

    return note


def possible(a_round: Round) -> list[str]:
    """Return the names of the faults that a chaos run can inject into this round."""
    return sorted(name for name in FAULTS if name not in NEEDS or NEEDS[name](a_round))


def name_of(function: Fault) -> str:
    """Return the name of a fault."""
    return function.__name__.replace("_", " ")


def requested(function: Fault) -> Fault:
    """Register a generator as a fault that is injected only by name."""
    REQUESTED[name_of(function)] = function
    return function
