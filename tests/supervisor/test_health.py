"""When the tracker is ready, when it is only in part, and when it is not."""

import time
from collections.abc import Callable

import pytest

from tracker import logs, metrics
from tracker.lifeline import ChildReport, ChildStatus
from tracker.metrics import Recorder
from tracker.obstacles import Cause, Obstacle
from tracker.supervisor.children import Child, ChildSpec, RestartPolicy
from tracker.supervisor.gauges import set_gauges
from tracker.supervisor.health import Health
from tracker.supervisor.totals import Totals

Set = Callable[..., None]

DATABASE = Obstacle(Cause.DATABASE, "read-only")
STUCK = Obstacle(Cause.DESTINATION, "Kafka partition 0 of topic 'sick' takes no messages", blocks=False)


@pytest.fixture
def health() -> Health:
    """That of a supervisor with two workers and a scheduler, of which nothing is known yet."""
    made = Health()
    made.waiting_for = None
    made.children = [
        Child(
            ChildSpec(name, "x:y", (), name != "scheduler"),
            Totals(),
            RestartPolicy(),
            logs.LogOptions(),
            lambda: None,
        )
        for name in ("worker-0", "worker-1", "scheduler")
    ]
    return made


def report(
    health: Health, number: int, *obstacles: Obstacle, ready: bool = True, kafka_partitions: int = 1
) -> None:
    status = ChildStatus(
        ready, False, time.monotonic(), obstacles=obstacles, kafka_partitions=kafka_partitions
    )
    health.children[number]._handle(ChildReport(status, {}))
    health.update()


def begin(health: Health) -> None:
    for number in range(3):
        report(health, number)
    assert health.missing() == health.degraded() == {}


def test_it_is_not_ready_before_all_have_begun(health: Health) -> None:
    report(health, 0)
    report(health, 2)
    assert health.missing() == {"worker-1": "waiting to be restarted"}
    report(health, 1, ready=False)
    assert health.missing() == {"worker-1": "not ready"}
    report(health, 1)
    assert not health.missing()


def test_one_worker_that_waits_makes_it_degraded_and_all_make_it_unready(health: Health) -> None:
    begin(health)
    report(health, 0, DATABASE)
    assert not health.missing()
    assert health.degraded() == {"worker-0": "waiting for PostgreSQL: read-only"}
    report(health, 1, DATABASE)
    assert health.missing() == dict.fromkeys(["worker-0", "worker-1"], "waiting for PostgreSQL: read-only")
    assert health.degraded() == {}


def test_what_holds_up_a_part_of_a_worker_makes_it_degraded(health: Health) -> None:
    begin(health)
    report(health, 0, STUCK)
    report(health, 1, STUCK)
    assert not health.missing()
    assert list(health.degraded()) == ["worker-0", "worker-1"]


def test_a_scheduler_that_waits_makes_it_degraded(health: Health) -> None:
    begin(health)
    report(health, 2, DATABASE)
    assert not health.missing()
    assert list(health.degraded()) == ["scheduler"]


def test_a_worker_without_kafka_partitions_moves_none(health: Health) -> None:
    begin(health)
    report(health, 0, DATABASE)
    report(health, 1, kafka_partitions=0)
    assert list(health.missing()) == ["worker-0"]
    report(health, 0, kafka_partitions=0)
    assert not health.missing(), "others have them all"


def test_a_worker_that_is_started_again_leaves_it_ready_while_another_moves(health: Health) -> None:
    begin(health)
    health.children[0].status = None
    assert not health.missing()
    assert health.degraded() == {"worker-0": "waiting to be restarted"}
    health.children[1].status = None
    assert list(health.missing()) == ["worker-0", "worker-1"]


def test_slots_that_are_not_held_are_reported(health: Health) -> None:
    begin(health)
    health.slots_waiting_for = "no password"
    assert health.degraded() == {"supervisor": "waiting for PostgreSQL: no password"}


def test_the_gauges_say_the_same(health: Health) -> None:
    begin(health)
    report(health, 0, DATABASE)
    recorder = Recorder()
    set_gauges(recorder, health.children, ready=True)
    snapshot = recorder.snapshot()
    waiting = {key for key, (number,) in snapshot[metrics.WAITING.name].items() if number}
    assert waiting == {("worker-0", "database")}
    assert snapshot[metrics.READY.name] == {(): (1.0,)}
    assert snapshot[metrics.WORKERS_READY.name] == {(): (1.0,)}
    report(health, 0)
    set_gauges(recorder, health.children, ready=True)
    assert not any(number for (number,) in recorder.snapshot()[metrics.WAITING.name].values())


def test_every_cause_is_a_label_of_the_metric() -> None:
    [_, label] = metrics.WAITING.labels
    assert label.values == tuple(Cause)
