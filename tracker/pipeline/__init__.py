"""A worker: the process that every task message goes through.

A batch goes through three threads in this order: `poll_loop` polls and decodes it, `apply_loop` applies it to
the database by `apply`, `publish_loop` sends the results by `publish`. While one batch is in Kafka, the next
is in the database, and the one after that is being decoded.
"""

import gc

from tracker import failpoints
from tracker.lifeline import Lifeline
from tracker.settings import Settings

_GARBAGE_AFTER_OBJECTS = 100_000


def run(settings: Settings, slot: int, lifeline: Lifeline) -> int:
    """Work until `lifeline.stopping` is set; return the exit status (`tracker.lifeline.ExitStatus`)."""
    from tracker.pipeline.worker import Worker

    failpoints.load()
    collect_garbage_seldom()
    return Worker(settings, slot, lifeline).run()


def collect_garbage_seldom() -> None:
    """Let Python search for cycles of garbage only once in a few batches.

    A batch creates some 30,000 objects, or 400,000 if each message belongs to another job, and leaves no
    cycles. By default Python searches after each 700 new objects, which took a fifth of the time that it was
    busy (py-spy, 10,000 messages a batch).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_AFTER_OBJECTS)
