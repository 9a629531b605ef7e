"""Nothing is lost and nothing comes twice, whatever process joins, leaves or dies."""

import time
from typing import Any

import pytest

from tests.support import invariants
from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.kafka import wait_until
from tests.support.load import Load
from tests.support.program import Program
from tracker.metrics import BATCHES
from tracker.pipeline.applied import Applied
from tracker.pipeline.apply import Applier


def wait_until_forwarded(tracker: Deployment, messages: int) -> None:
    """Wait until the topic of results has grown so far, undecided records and all."""

    def grown() -> bool:
        return sum(tracker.kafka.ends(tracker.topics.results).values()) > messages

    wait_until(grown, f"{messages} messages forwarded", 600)


# The second: make test ARGS="-m soak -k killed"
@pytest.mark.parametrize(
    ("jobs", "messages"),
    [(50, 100_000), pytest.param(200, 1_000_000, marks=[pytest.mark.soak, pytest.mark.timeout(1_800)])],
)
def test_each_message_is_forwarded_once_though_workers_are_killed(
    deploy: Deploy, jobs: int, messages: int
) -> None:
    tracker = deploy(partitions=8)
    load = Load(tracker, jobs=jobs, messages=messages)
    load.submit()
    with Program(tracker.variables) as program:
        program.wait_for("Kafka partitions assigned", process="worker-0")
        load.send(0, messages // 4)
        for kill in range(1, 4):
            wait_until_forwarded(tracker, kill * messages // 5)
            program.kill(f"worker-{kill % 2}")
            load.send(kill * messages // 4, (kill + 1) * messages // 4)
            program.wait_for("child ended", times=kill)
        tracker.wait_until_processed(900)
        load.check()
        invariants.check_at_rest(tracker)
        assert program.stop() == 0


def test_each_message_is_forwarded_once_while_workers_join_and_leave(deploy: Deploy) -> None:
    tracker = deploy(partitions=6)
    load = Load(tracker, jobs=30, messages=60_000)
    load.submit()
    tracker.start(workers=1, scheduler=False)
    sent = 0
    for change in ("second joins", "third joins", "second leaves", "first leaves"):
        load.send(sent, sent + 12_000)
        sent += 12_000
        if change.endswith("joins"):
            tracker.start_worker()
        else:
            leaving = tracker.workers[1 if change == "second leaves" else 0]
            assert leaving.stop() == 0
    load.send(sent)
    remaining = tracker.workers[2]
    tracker.workers = [worker for worker in tracker.workers if worker.is_running]
    assert tracker.workers == [remaining]
    tracker.wait_until_processed()
    load.check()
    invariants.check_at_rest(tracker)


def test_a_batch_that_is_slow_is_finished_before_its_kafka_partitions_are_given_up(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = deploy(partitions=4, TRACKER_BATCH_SIZE="500")
    load = Load(tracker, jobs=20, messages=10_000)
    load.submit()
    load.send()
    apply = Applier.apply

    def slowly(*arguments: Any) -> Applied:
        time.sleep(0.3)  # a slow database
        return apply(*arguments)

    monkeypatch.setattr(Applier, "apply", slowly)
    tracker.start(workers=1, scheduler=False)
    wait_until(lambda: tracker.count(BATCHES) > 1, "some batches")
    second = tracker.start_worker()
    wait_until(lambda: second.count(BATCHES) > 0, "the second at work")
    tracker.wait_until_processed()
    load.check()
    invariants.check_at_rest(tracker)


def test_at_least_once_forwards_everything_too(deploy: Deploy) -> None:
    tracker = deploy(partitions=4, TRACKER_DELIVERY="at_least_once")
    load = Load(tracker, jobs=20, messages=20_000)
    load.submit()
    tracker.submit("first")
    tracker.submit("dependent", "first")
    tracker.start(workers=2)
    load.send()
    tracker.process(tracker.message("acme:first"), tracker.message("acme:first.0"))
    wait_until(lambda: "acme:dependent" in tracker.started(), "the dependent")
    assert len(tracker.dead_letters()) == 1
    assert sorted(tracker.started()).count("acme:dependent") == 1
    tracker.stop()
    numbers = {received.header("n") for received in tracker.results()}
    assert len(numbers - {None}) == 20_000
    assert tracker.client.count(status="Completed", prefix="load-") == 20


def test_at_least_once_may_repeat_what_it_forwards_and_loses_nothing_when_killed(deploy: Deploy) -> None:
    tracker = deploy(partitions=4, TRACKER_DELIVERY="at_least_once")
    load = Load(tracker, jobs=20, messages=40_000)
    load.submit()
    with Program(tracker.variables) as program:
        program.wait_for("Kafka partitions assigned", process="worker-0")
        load.send()
        wait_until_forwarded(tracker, 5_000)
        program.kill("worker-0")
        tracker.wait_until_processed()
        assert program.stop() == 0
    numbers = {received.header("n") for received in tracker.results()}
    assert len(numbers) == 40_000
    assert tracker.client.count(status="Completed", prefix="load-") == 20


def test_it_stops_at_once_and_well_when_it_is_asked_to_under_load(deploy: Deploy) -> None:
    tracker = deploy(partitions=4, TRACKER_BATCH_SIZE="500")
    load = Load(tracker, jobs=20, messages=60_000)
    load.submit()
    load.send()
    with Program(tracker.variables) as program:
        wait_until_forwarded(tracker, 1_000)
        assert program.stop() == 0
    assert sum(tracker.kafka.ends(tracker.topics.results).values()) < load.messages  # it did not finish first
    with Program(tracker.variables) as program:
        tracker.wait_until_processed()
        load.check()
        invariants.check_at_rest(tracker)
        assert program.stop() == 0
