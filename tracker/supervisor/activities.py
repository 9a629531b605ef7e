"""What the workers do, from what they report to their supervisor, for the database."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tracker.metrics import BATCH_RECORDS, LAG_SECONDS, STAGE_DURATION, Snapshot
from tracker.store.worker_rows import WorkerActivity
from tracker.supervisor.children import Child
from tracker.supervisor.health import why_waiting
from tracker.supervisor.totals import Totals


class Activities:
    """Measures what the workers have done between two calls. For one thread, which is not the loop's.

    `children` returns the children that there are.
    """

    def __init__(self, children: Callable[[], Sequence[Child]], totals: Totals) -> None:
        self._children = children
        self._totals = totals
        self._before: dict[str, Snapshot] = {}
        self._before_monotonic_s = time.monotonic()

    def measure(self) -> list[WorkerActivity]:
        """Return what each worker does, and has done since the last call."""
        now_s, snapshots = time.monotonic(), self._totals.living()
        elapsed_s = max(now_s - self._before_monotonic_s, 0.001)
        found = []
        for child in list(self._children()):
            name, slot = child.spec.name, child.spec.slot
            if slot is not None:
                before, snapshot = self._before.get(name, {}), snapshots.get(name, {})
                found.append(_activity(child, slot, before, snapshot, elapsed_s))
        self._before, self._before_monotonic_s = snapshots, now_s
        return found


def _activity(
    child: Child, slot: int, before: Snapshot, snapshot: Snapshot, elapsed_s: float
) -> WorkerActivity:
    status = child.status
    records = _sums(snapshot, BATCH_RECORDS.name).get("", 0.0)
    earlier = _sums(before, BATCH_RECORDS.name).get("", 0.0)
    stages, earlier_stages = _sums(snapshot, STAGE_DURATION.name), _sums(before, STAGE_DURATION.name)
    return WorkerActivity(
        slot=slot,
        ready=child.can_work,
        detail=why_waiting(child),
        idle_s=None if status is None else max(0.0, time.monotonic() - status.last_progress_monotonic_s),
        records_per_second=_rate(records, earlier, elapsed_s),
        stage_seconds={
            stage: _rate(seconds, earlier_stages.get(stage, 0.0), elapsed_s)
            for stage, seconds in stages.items()
        },
        kafka_partitions=[
            (topic, int(number), round(age_s, 3))
            for (topic, number), (age_s,) in snapshot.get(LAG_SECONDS.name, {}).items()
        ],
    )


def _sums(snapshot: Snapshot, histogram: str) -> dict[str, float]:
    """Return the sums of a histogram, by its label; '': it has none."""
    return {"".join(key): numbers[-1] for key, numbers in snapshot.get(histogram, {}).items()}


def _rate(now: float, before: float, elapsed_s: float) -> float:
    """Return by how much a number has grown in a second. A process that was restarted begins again at 0."""
    return round(max(0.0, now - before if now >= before else now) / elapsed_s, 4)
