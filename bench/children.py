"""Processes that the benchmark starts: each reads its settings from stdin, and says when it is ready."""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from tracker.stack.lifetime import ProcessIdentity, Watchdog
from tracker.stack.server import clean_environment

_ROOT = Path(__file__).parent.parent
_END_TIMEOUT_S = 10.0

Child = subprocess.Popen[bytes]


@contextmanager
def run_child(
    command: Sequence[str | Path], settings: Mapping[str, Any], watchdog: Watchdog
) -> Iterator[Child]:
    """Run a process for as long as the block lasts; it gets `settings` as a line of JSON.

    Not as arguments, which every user of the machine can see: there can be passwords among them.
    """
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=clean_environment(),
        cwd=_ROOT,  # where Python finds the modules of `bench`
        start_new_session=True,
    )
    identity = ProcessIdentity.of(child.pid)
    watchdog.watch(identity, signal.SIGKILL)
    with child:
        try:
            assert child.stdin is not None
            child.stdin.write(json.dumps(settings).encode() + b"\n")
            child.stdin.flush()
            yield child
        finally:
            child.kill()
            child.wait(_END_TIMEOUT_S)
            watchdog.unwatch(identity)


def wait_until_ready(name: str, children: Sequence[Child]) -> Callable[[], None]:
    """Wait until each process has said that it is ready; return what checks that none has ended since.

    :raises BenchError: one has ended. What is returned raises the same.
    """
    for child in children:
        assert child.stdout is not None
        if child.stdout.readline() != b"ready\n":
            raise BenchError(f"a process of {name} did not start; its output is above")

    def check() -> None:
        if any(child.poll() is not None for child in children):
            raise BenchError(f"a process of {name} has ended; its output is above")

    return check
