"""Mistakes to be planted into the tracker, each of which the storm must find."""

from collections.abc import Callable

VARIABLE = "PLANTED_BUG"

BUGS: dict[str, Callable[[], None]] = {}


def plant(name: str) -> None:
    """Put a mistake into this process; none for the empty name."""
    if name:
        BUGS[name]()
