"""The ceiling: what this machine can do at all.

The ceiling has as many processes as the tracker has workers. They consume, produce and commit exactly once,
and do nothing else. It is the fastest pass-through that was found: ``python -m bench ceiling`` compares
settings, and `bench.ceiling_settings` has the best.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from bench.ceiling_settings import CeilingSettings
from bench.children import run_child, wait_until_ready
from bench.contenders import Contender
from bench.workload import Topics
from tracker.stack.lifetime import Watchdog


@contextmanager
def run_ceiling(
    clients: Mapping[str, Any],
    topics: Topics,
    *,
    processes: int,
    batch_size: int,
    eager: bool,
    watchdog: Watchdog,
    settings: CeilingSettings,
) -> Iterator[Contender]:
    """Run the ceiling's processes, which wait for messages when this yields.

    With `eager` they take messages as soon as they come, for the least latency; otherwise they wait for whole
    batches. `batch_size` is for settings that name none.
    """
    group_id = f"{topics.tracking}-ceiling"
    given = {
        "clients": clients,
        "group_id": group_id,
        "topic": topics.tracking,
        "kafka_partitions": topics.kafka_partitions,
        "destination": topics.destination,
        "processes": processes,
        "batch_size": settings.records or batch_size,
        "eager": eager,
        "overlapped": settings.overlapped,
        "consumer": settings.consumer,
        "producer": settings.producer,
    }
    command = [sys.executable, "-m", "bench.ceiling_process"]
    with ExitStack() as stack:
        children = [
            stack.enter_context(run_child(command, given | {"slot": slot}, watchdog))
            for slot in range(processes)
        ]
        check = wait_until_ready("the ceiling", children)
        yield Contender("ceiling", group_id, [child.pid for child in children], check)
