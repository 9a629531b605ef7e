"""What Kafka refuses for a reason that is neither a message's nor its destination's costs no record."""

import time
from collections.abc import Iterator
from typing import Any

import confluent_kafka
import pytest

from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.kafka import wait_until

TWO_HOURS_S = 7_200


class Clock:
    """How far the clock is ahead that the tracker's messages are stamped with; the tests' own is right."""

    ahead_s = 0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock, now = Clock(), time.time

    class Producer(confluent_kafka.Producer):
        def produce(self, *arguments: Any, **options: Any) -> None:
            if clock.ahead_s:
                options["timestamp"] = int(1_000 * (now() + clock.ahead_s))
            super().produce(*arguments, **options)

    monkeypatch.setattr("tracker.kafka.producer.Producer", Producer)
    monkeypatch.setattr("tracker.store.clock.time.time", lambda: now() + clock.ahead_s)
    yield clock
    clock.ahead_s = 0


def detail(tracker: Deployment) -> str:
    """Return what the members say of themselves."""
    members = tracker.workers + tracker.schedulers
    return "; ".join(member.lifeline.status().detail for member in members if member.lifeline.status)


def says_how_far(tracker: Deployment) -> bool:
    return "it is 7,200 s ahead of PostgreSQL's" in detail(tracker)


def test_a_clock_that_is_ahead_costs_no_record(deploy: Deploy, clock: Clock, delivery: str) -> None:
    tracker = deploy(partitions=1, TRACKER_DELIVERY=delivery)
    tracker.submit("job")
    tracker.start(scheduler=False)
    clock.ahead_s = TWO_HOURS_S
    bad = tracker.message("acme:job.0")
    tracker.send(tracker.message("acme:job.1"), bad, tracker.message("acme:job.2*"))
    wait_until(lambda: says_how_far(tracker), "it says how far its clock is off")
    assert tracker.dead_letters() == []
    assert tracker.results() == []
    clock.ahead_s = 0
    tracker.wait_until_processed()
    assert len(tracker.results()) == 2
    [letter] = tracker.dead_letters()
    assert (letter.value, letter.header("tracker-error-truncated")) == (bad.value, None)
    assert tracker.status("job") == "Completed"
    wait_until(lambda: "clock" not in detail(tracker), "it says that all is well")


def test_a_scheduler_whose_clock_is_ahead_waits(deploy: Deploy, clock: Clock) -> None:
    tracker = deploy(partitions=1)
    tracker.start(workers=0)
    clock.ahead_s = TWO_HOURS_S
    tracker.submit("job")
    wait_until(lambda: says_how_far(tracker), "it says how far its clock is off")
    assert tracker.work() == []
    clock.ahead_s = 0
    wait_until(lambda: tracker.started() == ["acme:job"], "the job starts")
    tracker.wait_until_sent()
