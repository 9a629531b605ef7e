"""The faults by name, as the modules beside this one define them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.weather import Weather

MEMBERS = ("worker 0", "worker 1", "scheduler")

Fault = Callable[["Weather"], Iterator[None]]
FAULTS: dict[str, Fault] = {}
REQUESTED: dict[str, Fault] = {}
"""Faults that are brought only where they are named: aimed at what those of `FAULTS` hit by chance."""


def fault(function: Fault) -> Fault:
    """Make a fault of a generator: it begins, yields while the fault lasts, and puts things right."""
    FAULTS[function.__name__.replace("_", " ")] = function
    return function


def requested(function: Fault) -> Fault:
    """Make a fault that is brought only where it is named."""
    REQUESTED[function.__name__.replace("_", " ")] = function
    return function
