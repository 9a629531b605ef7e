"""What no message triggers is sent by one scheduler, once."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.dying_scheduler import DELETES_WHAT_IS_PUBLISHED, PUBLISHES, schedule_until
from tests.support import invariants
from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.kafka import wait_until
from tests.support.program import Program
from tracker.failpoints import VARIABLE
from tracker.kafka.errors import BatchAbandoned
from tracker.kafka.producer import BatchProducer
from tracker.metrics import SCHEDULED_SENDS
from tracker.store.schedule_store import ScheduleStore

Publish = Any


def submit(tracker: Deployment, first: int, end: int) -> list[str]:
    """Create jobs; return how they are named."""
    names = [f"many-{number}" for number in range(first, end)]
    tracker.client.submit([tracker.job(name) for name in names])
    return [f"acme:{name}" for name in names]


def test_of_two_one_is_active(tracker: Deployment) -> None:
    tracker.start(workers=0)
    tracker.start_scheduler()
    names = submit(tracker, 0, 20_000)
    tracker.wait_until_sent()
    assert sorted(tracker.started()) == sorted(names)
    sent = [member.count(SCHEDULED_SENDS, kind="first") for member in tracker.schedulers]
    assert sorted(sent) == [0, 20_000]


def test_another_takes_over_when_the_active_one_is_killed(tracker: Deployment) -> None:
    variables = {**tracker.variables, "TRACKER_WORKERS": "1"}
    with Program(variables) as first, Program({**variables, "TRACKER_INSTANCE": "other"}) as second:

        def activations() -> int:
            return sum(program.text().count("scheduler active") for program in (first, second))

        wait_until(lambda: activations() == 1, "one active")
        active = first if "scheduler active" in first.text() else second
        names = submit(tracker, 0, 20_000)
        wait_until(lambda: sum(tracker.kafka.ends(tracker.topics.work).values()) > 1_000, "some sent")
        active.kill("scheduler")
        # The one that stood by, unless that which is started again is faster.
        wait_until(lambda: activations() > 1, "another active")
        names += submit(tracker, 20_000, 21_000)
        tracker.programs = 2
        tracker.wait_until_sent()
        assert sorted(tracker.started()) == sorted(names)
        assert (first.stop(), second.stop()) == (0, 0)


@pytest.mark.parametrize("call", [PUBLISHES, DELETES_WHAT_IS_PUBLISHED], ids=lambda call: call[1])
def test_what_is_numbered_is_sent_once_though_a_scheduler_dies(
    tracker: Deployment, call: tuple[type, str]
) -> None:
    names = submit(tracker, 0, 12_000)
    schedule_until(tracker, call)
    [(numbered,)] = tracker.rows("SELECT count(*) FROM outbox")
    assert numbered == 5_000
    tracker.start_scheduler()
    tracker.wait_until_sent()
    assert sorted(tracker.started()) == sorted(names)
    invariants.check(tracker)


def test_what_could_not_be_published_is_sent_once_later(
    tracker: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish: Publish = BatchProducer.publish
    left = [3]

    def failing(*arguments: object) -> None:
        if left[0]:
            left[0] -= 1
            raise BatchAbandoned("a test wants it")
        publish(*arguments)

    monkeypatch.setattr(BatchProducer, "publish", failing)
    names = submit(tracker, 0, 100)
    tracker.start(workers=0)
    tracker.wait_until_sent()
    assert sorted(tracker.started()) == sorted(names)
    assert left == [0]


def test_one_that_has_lost_its_lock_is_fenced(tracker: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """It sends what it has read with the ID that the next one took over: nothing of it is seen."""
    publish: Publish = BatchProducer.publish
    zombies: list[BatchProducer] = []

    def lose_the_lock(producer: BatchProducer, *arguments: Any) -> None:
        if not zombies:
            zombies.append(producer)
            tracker.database.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE application_name = 'tracker-scheduler' AND datname = current_database()"
            )
            tracker.start_scheduler()
            wait_until(lambda: len(tracker.started()) == 100, "all sent by the next one")
        publish(producer, *arguments)

    monkeypatch.setattr(BatchProducer, "publish", lose_the_lock)
    names = submit(tracker, 0, 100)
    tracker.start_scheduler()
    tracker.wait_until_sent()
    assert sorted(tracker.started()) == sorted(names)
    assert len(zombies) == 1


def test_it_leaves_in_time_and_well_though_a_call_never_returns(tracker: Deployment, tmp_path: Path) -> None:
    """As one of librdkafka does when the group's coordinator goes away in the middle of it."""
    failpoints = tmp_path / "failpoints"
    failpoints.write_text("after-offsets sleep:600")
    names = submit(tracker, 0, 100)
    hanging = {VARIABLE: str(failpoints), "TRACKER_WORKERS": "1", "TRACKER_SHUTDOWN_TIMEOUT_S": "10"}
    with Program({**tracker.variables, **hanging}) as program:
        wait_until(lambda: sum(tracker.kafka.ends(tracker.topics.work).values()) >= 100, "it to be produced")
        assert program.stop() == 0
        program.wait_for("the scheduler exits although a call has not returned")
    assert tracker.started() == []
    tracker.start_scheduler()
    tracker.wait_until_sent()
    assert sorted(tracker.started()) == sorted(names)
    invariants.check(tracker)


def test_a_restarted_scheduler_continues_where_the_last_one_ended(tracker: Deployment) -> None:
    names: list[str] = []
    for number in range(3):
        names += submit(tracker, number * 10, number * 10 + 10)
        with tracker.running(workers=0):
            tracker.wait_until_sent()
    assert sorted(tracker.started()) == sorted(names)


def test_a_submission_wakes_the_scheduler(tracker: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs do not wait for its next look."""

    def wait_for_a_notification(store: ScheduleStore, _timeout_s: float) -> None:
        while not any(member.lifeline.stopping.is_set() for member in tracker.schedulers):
            for _ in store._open.notifies(timeout=0.1, stop_after=1):
                return

    monkeypatch.setattr(ScheduleStore, "wait", wait_for_a_notification)
    tracker.start(workers=0)
    for number in range(5):
        submit(tracker, number, number + 1)
        wait_until(partial(_are_sent, tracker, number + 1), "sent")


def _are_sent(tracker: Deployment, number: int) -> bool:
    return len(tracker.started()) == number


def test_the_order_of_submission_is_kept(deploy: Deploy) -> None:
    tracker = deploy()
    names = submit(tracker, 0, 3_000)
    tracker.start(workers=0)
    tracker.wait_until_sent()
    assert tracker.started() == names
