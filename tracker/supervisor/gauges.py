"""The supervisor's own gauges about its children. They agree with ``/readyz``."""

import time
from collections.abc import Sequence

from tracker import metrics
from tracker.metrics import Recorder
from tracker.obstacles import Cause
from tracker.supervisor.children import Child


def set_gauges(recorder: Recorder, children: Sequence[Child], *, ready: bool) -> None:
    """Set the gauges of all children."""
    workers = [child for child in children if child.spec.is_worker]
    recorder.set(metrics.READY, ready)
    recorder.set(metrics.WORKERS, len(workers))
    recorder.set(metrics.WORKERS_READY, sum(child.can_work for child in workers))
    for child in children:
        _set_for(recorder, child)


def _set_for(recorder: Recorder, child: Child) -> None:
    process, status, now_s = child.spec.name, child.status, time.monotonic()
    causes = {obstacle.cause for obstacle in status.obstacles} if status is not None else set()
    for cause in Cause:
        recorder.set(metrics.WAITING, cause in causes, process=process, cause=cause)
    if status is None:
        return
    since_s = status.stalled_since_monotonic_s
    recorder.set(metrics.NO_PROGRESS, 0 if since_s is None else max(0.0, now_s - since_s), process=process)
    progress_s = status.last_progress_monotonic_s + time.time() - now_s
    recorder.set(metrics.LAST_PROGRESS, progress_s, process=process)
