"""Measure how fast a contender drains a backlog of messages, and what that costs."""

import time
from dataclasses import dataclass
from typing import Any

from bench.backlog import BacklogLoader, OffsetWatcher
from bench.contenders import Contender
from bench.processes import cpu_seconds, machine_cpu_seconds, peak_bytes
from bench.servers import Servers, end_offsets, wait_until_visible
from bench.workload import Workload

STALL_TIMEOUT_S = 60.0
_WARM_UPS = 5
_POINTS = 100  # of the timeline that are kept


@dataclass(frozen=True)
class Measurement:
    """The result of one measurement. `units` counts the messages, or the reports in them.

    `cpu_seconds` has the contender's processes, the benchmark itself, and all others on the machine, among
    them the kernel's threads; also broker and PostgreSQL, if they were started for the run. `timeline` has
    pairs of seconds and messages done. A value that cannot be measured is None.
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
        """Units per second."""
        return self.units / self.seconds


class CostMeter:
    """Measures what a contender and the servers cost, from its creation on."""

    def __init__(self, servers: Servers, contender: Contender) -> None:
        self._servers = servers
        self._contender = contender
        self._stages = contender.stages()
        servers.reset_statements()
        self._wal = servers.wal_bytes()
        self._cpu = self._cpu_seconds()

    def measure(self, units: int, seconds: float, timeline: list[tuple[float, int]]) -> Measurement:
        """Return the cost until now. Call it as soon as the work is done: it reads the CPU time first."""
        cpu = self._cpu_seconds()
        contender, servers = self._contender, self._servers
        statements = servers.statements(contender.database) if contender.database else (0, [])
        wal = servers.wal_bytes()
        stages = contender.stages()
        return Measurement(
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
            timeline=_downsampled(timeline),
        )

    def _cpu_seconds(self) -> dict[str, float]:
        parts = {"contender": self._contender.pids}
        if self._servers.started_here:
            parts |= {"broker": self._servers.broker_pids, "postgresql": self._servers.postgres_pids}
        known = {part: cpu_seconds(pids) for part, pids in parts.items()} | {"bench": time.process_time()}
        return known | {"others": machine_cpu_seconds() - sum(known.values())}


def drain(
    servers: Servers, contender: Contender, warm_up: Workload, workload: Workload
) -> tuple[Measurement, dict[int, int]]:
    """Warm the contender up, stage the messages of `workload` as a backlog, and let the contender drain it.

    The time runs from when the messages become visible until the last one is visible at its destination to
    readers of committed records. Also return the offsets at which the messages begin in the destination.
    """
    topics = workload.topics
    loader = BacklogLoader(servers.clients, topics)
    watcher = OffsetWatcher(servers.clients, topics, contender.group_id)
    try:
        send_warm_up(loader, watcher, contender, warm_up)
        # The group's offsets are committed a moment before the last messages are visible.
        wait_until_visible(servers.admin, topics.destination, topics.kafka_partitions)
        first = end_offsets(servers.admin, topics.destination, topics.kafka_partitions, committed=True)
        backlog = loader.stage(workload.messages())
        meter = CostMeter(servers, contender)
        began = loader.publish()
        timeline = watcher.wait(backlog, STALL_TIMEOUT_S, contender.check)
        ended = wait_until_visible(servers.admin, topics.destination, topics.kafka_partitions)
        measurement = meter.measure(
            workload.units, ended - began, [(round(at - began, 3), done) for at, done in timeline]
        )
    finally:
        watcher.close()
    return measurement, first


def send_warm_up(
    loader: BacklogLoader, watcher: OffsetWatcher, contender: Contender, warm_up: Workload
) -> None:
    """Send a few small batches, which open connections, prepare statements, and let Java compile its code."""
    messages = list(warm_up.messages())
    size = -(-len(messages) // _WARM_UPS)
    for start in range(0, len(messages), size):
        backlog = loader.stage(messages[start : start + size])
        loader.publish()
        watcher.wait(backlog, STALL_TIMEOUT_S, contender.check)


def warm_up_with(servers: Servers, contender: Contender, warm_up: Workload) -> None:
    """Send them with a loader and a watcher that are needed for nothing else."""
    watcher = OffsetWatcher(servers.clients, warm_up.topics, contender.group_id)
    try:
        send_warm_up(BacklogLoader(servers.clients, warm_up.topics), watcher, contender, warm_up)
    finally:
        watcher.close()


def _downsampled(points: list[tuple[float, int]]) -> list[tuple[float, int]]:
    step = max(1, -(-len(points) // _POINTS))
    return points[:-1:step] + points[-1:]
