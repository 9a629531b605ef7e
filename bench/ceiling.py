"""The ceiling: what this machine can do at all.

The ceiling has as many processes as the tracker has workers. They consume, produce and commit exactly once,
and do nothing else. It is the fastest pass-through that was found: ``python -m bench ceiling`` compares
settings, and `bench.ceiling_settings` has the best.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from bench.ceiling_settings import CeilingSettings
from bench.contenders import Contender
from bench.errors import BenchError
from bench.workload import Topics
from tracker.stack.lifetime import ProcessIdentity, Watchdog
from tracker.stack.server import clean_environment

_END_TIMEOUT_S = 5.0


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
    with ExitStack() as stack:
        children = [
            stack.enter_context(_process(given | {"slot": slot}, watchdog)) for slot in range(processes)
        ]
        for child in children:
            assert child.stdout is not None
            if child.stdout.readline() != b"ready\n":
                raise BenchError("a process of the ceiling did not start; its output is above")

        def check() -> None:
            if any(child.poll() is not None for child in children):
                raise BenchError("a process of the ceiling has ended; its output is above")

        yield Contender("ceiling", group_id, [child.pid for child in children], check)


@contextmanager
def _process(given: dict[str, Any], watchdog: Watchdog) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(
        [sys.executable, "-m", "bench.ceiling_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=clean_environment(),
        start_new_session=True,
    )
    identity = ProcessIdentity.of(child.pid)
    watchdog.watch(identity, signal.SIGKILL)
    with child:
        try:
            assert child.stdin is not None
            # Not as arguments, which every user of the machine can see: there can be passwords among them.
            child.stdin.write(json.dumps(given).encode() + b"\n")
            child.stdin.flush()
            yield child
        finally:
            child.kill()
            child.wait(_END_TIMEOUT_S)
            watchdog.unwatch(identity)
