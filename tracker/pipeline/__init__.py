"""A worker: the process that every task message goes through.

A batch is walked through in this order: `poll_loop` polls and decodes it, `apply_loop` has `apply` bring it
into the database, `publish_loop` has `publish` send what comes of it. Three threads, so that while one batch
is in Kafka the next is in the database and the one after is being decoded.
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
    """Have Python look for cycles of garbage once in a few batches.

    A batch makes some 30,000 objects, and leaves no cycles. By default they are looked through for each 700
    new ones, which took a fifth of the time that Python was busy (py-spy, 10,000 messages a batch).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_AFTER_OBJECTS)
