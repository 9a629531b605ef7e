"""What the Python programs of the peers share: their settings, their end, and the job of a message.

They run with the interpreter of the peers' environment, so this imports nothing of the tracker.
"""

import json
import logging
import os
import sys
import threading
from typing import Any, NamedTuple


class PeerSettings(NamedTuple):
    """What a process of a peer must know. It has the number `slot` among the processes of its group."""

    bootstrap_servers: str
    group_id: str
    topic: str
    destination: str
    threads: int
    slot: int
    batch_size: int
    state_directory: str


def read_settings() -> PeerSettings:
    """Read the settings from stdin, as a line of JSON. From then on, the process ends when stdin does.

    Nothing is logged: libraries log what they recover from, and a fatal error is a traceback.
    """
    logging.basicConfig(level=logging.CRITICAL)
    logging.captureWarnings(True)
    settings = PeerSettings(**json.loads(sys.stdin.buffer.readline()))
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    return settings


def say_ready() -> None:
    """Say that the process has started."""
    print("ready", flush=True)


def job_of(message: dict[str, Any]) -> str:
    """Return partition ID and job ID of a decoded message."""
    job_task_id: str = message["tracking"]["jobTaskId"]
    return job_task_id.partition(".")[0]


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)
