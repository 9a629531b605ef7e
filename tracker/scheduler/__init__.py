"""The scheduler: the process that sends what no message triggers, and removes jobs that ended long ago."""

from tracker import failpoints
from tracker.lifeline import Lifeline
from tracker.settings import Settings


def run(settings: Settings, lifeline: Lifeline) -> int:
    """Schedule until `lifeline.stopping` is set; return the exit status (`tracker.lifeline.ExitStatus`)."""
    from tracker.scheduler.scheduler import Scheduler

    failpoints.load()
    return Scheduler(settings, lifeline).run()
