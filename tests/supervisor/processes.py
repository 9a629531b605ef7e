"""Child processes for the supervisor's tests: small ones that behave well or badly in one way each."""

import threading
import time

from tracker import metrics
from tracker.errors import SettingsError
from tracker.lifeline import ChildStatus, ExitStatus, Lifeline


def _status(*, ready: bool = True, has_work: bool = False, detail: str = "") -> ChildStatus:
    return ChildStatus(ready, has_work, time.monotonic(), detail)


def good(lifeline: Lifeline) -> int:
    """Ready, idle, one batch done; leaves when asked to."""
    lifeline.recorder.add(metrics.BATCHES)
    lifeline.recorder.set(metrics.LAG, 7, topic="tracking", kafka_partition="0")
    lifeline.report(_status)
    lifeline.stopping.wait()
    lifeline.recorder.add(metrics.BATCHES)
    return ExitStatus.DONE


def joining(lifeline: Lifeline) -> int:
    """Never ready."""
    lifeline.report(lambda: _status(ready=False, detail="joining the group"))
    lifeline.stopping.wait()
    return ExitStatus.DONE


def deaf(lifeline: Lifeline) -> int:
    """Ready, but does not leave."""
    lifeline.report(_status)
    threading.Event().wait()
    return ExitStatus.DONE


def stuck(lifeline: Lifeline) -> int:
    """Alive and reporting, but with work that never gets done."""
    since_s = time.monotonic()
    lifeline.report(lambda: ChildStatus(True, True, since_s, "writing"))
    lifeline.stopping.wait()
    return ExitStatus.DONE


def hanging(lifeline: Lifeline) -> int:
    """Alive, and waiting for what is away, but in a call that will not return."""
    lifeline.report(
        lambda: ChildStatus(True, False, time.monotonic(), "waiting for Kafka", hangs="commit_transaction")
    )
    lifeline.stopping.wait()
    return ExitStatus.DONE


def silent(lifeline: Lifeline) -> int:
    """Never reports."""
    lifeline.stopping.wait()
    return ExitStatus.DONE


def failing(_lifeline: Lifeline) -> int:
    """Ends at once with a failure that a restart might mend."""
    return ExitStatus.FAILED


def raising(_lifeline: Lifeline) -> int:
    """Ends at once by an exception."""
    raise ValueError("a mistake\nin the program")


def refusing(_lifeline: Lifeline) -> int:
    """Ends at once, because it cannot work like this."""
    raise SettingsError("TRACKER_TOPICS names a topic that does not exist.")


def refusing_in_words(lifeline: Lifeline) -> int:
    """Says in its last report why it cannot work like this."""
    lifeline.report(lambda: _status(ready=False, detail="the offset was moved"))
    return ExitStatus.REFUSED


def fenced(_lifeline: Lifeline) -> int:
    """Ends at once, because another process uses its slot."""
    return ExitStatus.SLOT_SHARED
