"""Measures how fast a contender works off messages that lie ready, and what that costs."""

import time
from dataclasses import dataclass
from typing import Any

from bench.contenders import Contender
from bench.load import Loader, Watcher
from bench.processes import cpu_seconds, machine_cpu_seconds, peak_bytes
from bench.servers import Servers, ends, wait_until_visible
from bench.workload import Topics, Workload

STALL_TIMEOUT_S = 60.0
_WARM_UPS = 5
_POINTS = 100  # of the timeline that are kept


@dataclass(frozen=True)
class Figures:
    """What was measured. CPU time is in seconds, of: the contender's processes, broker, PostgreSQL, the
    benchmark itself, and everything else on the machine (the kernel's own threads, and whatever disturbs).

    `timeline` has pairs of seconds and messages done. `statements` is None where they cannot be counted.
    """

    messages: int
    seconds: float
    cpu_seconds: dict[str, float]
    peak_bytes: int
    wal_bytes: int
    statements: int | None
    longest_statements: list[dict[str, Any]]
    stage_seconds: dict[str, float]
    timeline: list[tuple[float, int]]

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds


def drain(
    servers: Servers, contender: Contender, topics: Topics, warm_up: Workload, workload: Workload
) -> tuple[Figures, dict[int, int]]:
    """Warm the contender up, lay the messages of `workload` ready, and let it work them off.

    The time is from when the messages become visible until the last one is visible at its destination to
    readers of committed records. Returned with the figures: where in the destination the messages begin.
    """
    loader = Loader(servers.bootstrap_servers, topics.tracking)
    watcher = Watcher(servers.bootstrap_servers, topics.tracking, contender.group_id)
    try:
        _warm_up(loader, watcher, contender, warm_up)
        first = ends(servers.admin, topics.destination, committed=True)
        span = loader.stage(workload.messages())
        stages_before = contender.stages()
        servers.forget_statements()
        wal_before = servers.wal_bytes()
        cpu_before = _cpu(servers, contender)
        began = loader.release()
        timeline = watcher.wait(span, STALL_TIMEOUT_S, contender.check)
        ended = wait_until_visible(servers.admin, topics.destination)
        cpu_after = _cpu(servers, contender)
        statements = servers.statements(contender.database) if contender.database else (0, [])
        wal_after = servers.wal_bytes()
        stages_after = contender.stages()
    finally:
        watcher.close()
    figures = Figures(
        messages=workload.size,
        seconds=ended - began,
        cpu_seconds={name: round(cpu_after[name] - cpu_before[name], 2) for name in cpu_after},
        peak_bytes=peak_bytes(contender.pids),
        wal_bytes=wal_after - wal_before,
        statements=statements[0] if statements else None,
        longest_statements=statements[1] if statements else [],
        stage_seconds={
            stage: round(seconds - stages_before.get(stage, 0), 3) for stage, seconds in stages_after.items()
        },
        timeline=_thinned([(round(at - began, 3), done) for at, done in timeline]),
    )
    return figures, first


def _warm_up(loader: Loader, watcher: Watcher, contender: Contender, warm_up: Workload) -> None:
    """Send a few small batches, so that connections are open, statements prepared, and code compiled."""
    messages = list(warm_up.messages())
    size = -(-len(messages) // _WARM_UPS)
    for start in range(0, len(messages), size):
        span = loader.stage(messages[start : start + size])
        loader.release()
        watcher.wait(span, STALL_TIMEOUT_S, contender.check)


def _cpu(servers: Servers, contender: Contender) -> dict[str, float]:
    known = {
        "contender": cpu_seconds(contender.pids),
        "broker": cpu_seconds(servers.broker_pids),
        "postgresql": cpu_seconds(servers.postgres_pids),
        "bench": time.process_time(),
    }
    return known | {"others": machine_cpu_seconds() - sum(known.values())}


def _thinned(points: list[tuple[float, int]]) -> list[tuple[float, int]]:
    step = -(-len(points) // _POINTS)
    return points[:-1:step] + points[-1:]
