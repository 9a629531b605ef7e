"""Measures how fast a contender works off messages that lie ready, and what that costs."""

import time
from dataclasses import dataclass
from typing import Any

from bench.contenders import Contender
from bench.load import Loader, Watcher
from bench.processes import cpu_seconds, machine_cpu_seconds, peak_bytes
from bench.servers import Servers, ends, wait_until_visible
from bench.workload import Workload

STALL_TIMEOUT_S = 60.0
_WARM_UPS = 5
_POINTS = 100  # of the timeline that are kept


@dataclass(frozen=True)
class Figures:
    """What was measured. `units` is what is counted: the messages, or the reports in them.

    CPU time is in seconds, of: the contender's processes, broker, PostgreSQL, the benchmark itself, and
    everything else on the machine (the kernel's own threads, and whatever disturbs); broker and PostgreSQL
    only where they were started for this. `timeline` has pairs of seconds and messages done. What cannot be
    counted is None.
    """

    units: int
    seconds: float
    cpu_seconds: dict[str, float]
    peak_bytes: int
    wal_bytes: int | None
    statements: int | None
    longest_statements: list[dict[str, Any]]
    stage_seconds: dict[str, float]
    timeline: list[tuple[float, int]]

    @property
    def rate(self) -> float:
        """Messages, or reports, a second."""
        return self.units / self.seconds


class Costs:
    """What a contender and the servers cost, from when this is made."""

    def __init__(self, servers: Servers, contender: Contender) -> None:
        self._servers = servers
        self._contender = contender
        self._stages = contender.stages()
        servers.forget_statements()
        self._wal = servers.wal_bytes()
        self._cpu = self._cpu_seconds()

    def figures(self, units: int, seconds: float, timeline: list[tuple[float, int]]) -> Figures:
        """Return what it was until now. The CPU time is read first: to be called as soon as it is over."""
        cpu = self._cpu_seconds()
        contender, servers = self._contender, self._servers
        statements = servers.statements(contender.database) if contender.database else (0, [])
        wal = servers.wal_bytes()
        stages = contender.stages()
        return Figures(
            units=units,
            seconds=seconds,
            cpu_seconds={part: round(cpu[part] - self._cpu[part], 2) for part in cpu},
            peak_bytes=peak_bytes(contender.pids),
            wal_bytes=None if wal is None or self._wal is None else wal - self._wal,
            statements=statements[0] if statements else None,
            longest_statements=statements[1] if statements else [],
            stage_seconds={
                stage: round(spent - self._stages.get(stage, 0), 3) for stage, spent in stages.items()
            },
            timeline=_thinned(timeline),
        )

    def _cpu_seconds(self) -> dict[str, float]:
        parts = {"contender": self._contender.pids}
        if self._servers.ours:
            parts |= {"broker": self._servers.broker_pids, "postgresql": self._servers.postgres_pids}
        known = {part: cpu_seconds(pids) for part, pids in parts.items()} | {"bench": time.process_time()}
        return known | {"others": machine_cpu_seconds() - sum(known.values())}


def drain(
    servers: Servers, contender: Contender, warm_up: Workload, workload: Workload
) -> tuple[Figures, dict[int, int]]:
    """Warm the contender up, lay the messages of `workload` ready, and let it work them off.

    The time is from when the messages become visible until the last one is visible at its destination to
    readers of committed records. Returned with the figures: where in the destination the messages begin.
    """
    topics = workload.topics
    loader = Loader(servers.clients, topics)
    watcher = Watcher(servers.clients, topics, contender.group_id)
    try:
        run_warm(loader, watcher, contender, warm_up)
        first = ends(servers.admin, topics.destination, topics.partitions, committed=True)
        span = loader.stage(workload.messages())
        costs = Costs(servers, contender)
        began = loader.release()
        timeline = watcher.wait(span, STALL_TIMEOUT_S, contender.check)
        ended = wait_until_visible(servers.admin, topics.destination, topics.partitions)
        figures = costs.figures(
            workload.units, ended - began, [(round(at - began, 3), done) for at, done in timeline]
        )
    finally:
        watcher.close()
    return figures, first


def run_warm(loader: Loader, watcher: Watcher, contender: Contender, warm_up: Workload) -> None:
    """Send a few small batches, so that connections are open, statements prepared, and code compiled."""
    messages = list(warm_up.messages())
    size = -(-len(messages) // _WARM_UPS)
    for start in range(0, len(messages), size):
        span = loader.stage(messages[start : start + size])
        loader.release()
        watcher.wait(span, STALL_TIMEOUT_S, contender.check)


def warm_up_alone(servers: Servers, contender: Contender, warm_up: Workload) -> None:
    """Do so before something that needs neither loader nor watcher."""
    watcher = Watcher(servers.clients, warm_up.topics, contender.group_id)
    try:
        run_warm(Loader(servers.clients, warm_up.topics), watcher, contender, warm_up)
    finally:
        watcher.close()


def _thinned(points: list[tuple[float, int]]) -> list[tuple[float, int]]:
    step = max(1, -(-len(points) // _POINTS))
    return points[:-1:step] + points[-1:]
