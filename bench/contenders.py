"""The programs that are measured: each forwards the messages of the tracking topic to the destination."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Contender:
    """A running contender that has joined its group and waits for messages.

    `check` raises BenchError if the contender has ended. `stages` returns the seconds that each of its stages
    has taken so far, and nothing for a contender that does not report them. `database` is the name of the
    database that it uses.
    """

    name: str
    group_id: str
    pids: Sequence[int]
    check: Callable[[], None]
    stages: Callable[[], dict[str, float]] = dict
    database: str | None = None
