"""A worker: the process that every task message goes through.

A batch is walked through in this order: `worker` polls it and hands it from thread to thread, `apply` brings
it into the database, `publish` sends what comes of it. Three threads, so that while one batch is in Kafka the
next is in the database and the one after is being decoded.
"""

from tracker import failpoints
from tracker.lifeline import Lifeline
from tracker.settings import Settings


def run(settings: Settings, slot: int, lifeline: Lifeline) -> int:
    """Work until `lifeline.stopping` is set; return the exit status (`tracker.lifeline.ExitStatus`)."""
    from tracker.worker.worker import Worker

    failpoints.load()
    return Worker(settings, slot, lifeline).run()
