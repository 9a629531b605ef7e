"""What a supervisor makes of its workers' reports, for the database."""

import time

from tracker import logs
from tracker.lifeline import ChildStatus
from tracker.metrics import BATCH_RECORDS, LAG_SECONDS, STAGE_DURATION, Recorder
from tracker.obstacles import Cause, Obstacle
from tracker.supervisor.activities import Activities
from tracker.supervisor.children import Child, ChildSpec, RestartPolicy
from tracker.supervisor.totals import Totals


def child_of(totals: Totals, slot: int | None) -> Child:
    name = "scheduler" if slot is None else f"worker-{slot}"
    spec = ChildSpec(name, "no:function", is_worker=slot is not None, slot=slot)
    return Child(spec, totals, RestartPolicy(), logs.LogOptions(), lambda: None)


def test_it_says_what_each_worker_has_done_since_the_last_time() -> None:
    totals, recorder = Totals(), Recorder()
    worker = child_of(totals, 3)
    worker.status = ChildStatus(ready=True, has_work=True, last_progress_monotonic_s=time.monotonic() - 100)
    activities = Activities(lambda: [worker, child_of(totals, None)], totals)
    recorder.observe(BATCH_RECORDS, 500)
    recorder.observe(STAGE_DURATION, 2.0, stage="load")
    recorder.observe(STAGE_DURATION, 1.0, stage="write")
    recorder.set(LAG_SECONDS, 1.5, topic="tracking", kafka_partition="7")
    totals.update("worker-3", recorder.snapshot())
    [first] = activities.measure()
    [second] = activities.measure()
    totals.update("worker-3", {BATCH_RECORDS.name: {(): (5.0,)}})  # started again
    [third] = activities.measure()

    assert (first.slot, first.ready, first.detail) == (3, True, "")
    assert first.idle_s is not None
    assert first.idle_s >= 100
    assert first.records_per_second > 0
    assert first.stage_seconds["load"] > first.stage_seconds["write"] > 0
    assert first.kafka_partitions == [("tracking", 7, 1.5)]
    assert second.records_per_second == second.stage_seconds["load"] == 0
    assert third.records_per_second > 0
    assert (third.stage_seconds, third.kafka_partitions) == ({}, [])


def test_it_says_what_a_worker_waits_for() -> None:
    totals = Totals()
    dead, blocked, hindered = (child_of(totals, slot) for slot in range(3))
    for worker, blocks in ((blocked, True), (hindered, False)):
        obstacle = Obstacle(Cause.RECORD, "offset 2", blocks=blocks)
        worker.status = ChildStatus(True, True, time.monotonic(), obstacles=(obstacle,))
    found = Activities(lambda: [dead, blocked, hindered], totals).measure()
    assert [(each.ready, each.detail) for each in found] == [
        (False, "waiting to be restarted"),
        (False, "waiting at a record: offset 2"),
        (True, "waiting at a record: offset 2"),
    ]
    assert found[0].idle_s is None
