"""Those who are measured: each reads the tracking topic, and forwards what lies there to the destination."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Contender:
    """One that runs, has joined its group and waits for messages.

    `check` raises BenchError when it has ended. `stages` returns how many seconds each stage of it has taken
    so far, where it says so. `database` is the name of the one it uses.
    """

    name: str
    group_id: str
    pids: Sequence[int]
    check: Callable[[], None]
    stages: Callable[[], dict[str, float]] = dict
    database: str | None = None
