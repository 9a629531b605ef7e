"""A worker or scheduler that dies, freezes or wakes again as a zombie, at each point of its path."""

import signal

import pytest

from tests.acceptance.kafka import wait_until
from tests.faults.checker import check
from tests.faults.conftest import NewRound
from tests.faults.round import Round
from tests.profile import GROUP_PROTOCOL
from tracker.failpoints import POINTS
from tracker.lifeline import ExitStatus

# What a worker or scheduler is doing when it happens: something that it does for the second time, so that
# there is something behind it that must stay as it is. A scheduler may have no more than one round. Nothing
# is old enough to be removed here: tests/acceptance/test_retention.py kills what removes.
WORKERS = [point for point in POINTS if not point.startswith(("scheduler", "retention"))]
SCHEDULERS = [point for point in POINTS if point.startswith("scheduler")]
MESSAGES = 150


WORST = {"inside-database-transaction", "after-produce", "after-offsets", "scheduler-after-database-commit"}
"""Where most is half done: these are always tried, the others in long runs only."""


def by_weight(points: list[str]) -> list[object]:
    """Mark the points at which less is at stake."""
    return [point if point in WORST else pytest.param(point, marks=pytest.mark.soak) for point in points]


def times(point: str) -> int:
    """Say at which time that the point is reached it is to happen."""
    return 2 if point in WORKERS else 1


def finish(a_round: Round) -> None:
    """Drain, stop what runs and check; anything that was frozen runs again."""
    a_round.drain()
    check(a_round)
    a_round.stop()


@pytest.mark.parametrize("point", by_weight(WORKERS + SCHEDULERS))
def test_killed(new_round: NewRound, point: str) -> None:
    what, other = ("worker 0", "scheduler") if point in WORKERS else ("scheduler", "worker 0")
    a_round = new_round(TRACKER_BATCH_SIZE="25")
    victim = a_round.start(what, fail=f"{point} kill {times(point)}")
    a_round.start(other)
    with a_round.playing(MESSAGES):
        assert victim.wait_for_end() == -signal.SIGKILL
        a_round.start(what)
    finish(a_round)


@pytest.mark.soak
@pytest.mark.parametrize("point", WORKERS + SCHEDULERS)
def test_frozen_for_a_moment(new_round: NewRound, point: str) -> None:
    what, other = ("worker 0", "scheduler") if point in WORKERS else ("scheduler", "worker 0")
    a_round = new_round(TRACKER_BATCH_SIZE="25")
    victim = a_round.start(what, fail=f"{point} stop {times(point)}")
    a_round.start(other)
    with a_round.playing(MESSAGES):
        victim.wait_until_frozen()
        victim.thaw()
    finish(a_round)


@pytest.mark.parametrize("point", by_weight(WORKERS))
def test_a_worker_that_wakes_when_another_has_its_work(new_round: NewRound, point: str) -> None:
    a_round = new_round(TRACKER_BATCH_SIZE="25")
    victim = a_round.start("worker 0", fail=f"{point} stop {times(point)}")
    a_round.start("scheduler")
    with a_round.playing(MESSAGES):
        victim.wait_until_frozen()
        heir = a_round.start("worker 1")
        a_round.wait_until_all_assigned_to(heir)
        victim.thaw()
    finish(a_round)


def test_a_worker_that_wakes_knowing_only_where_the_group_was_long_ago(new_round: NewRound) -> None:
    """Its first batch is checked against what Kafka said at the assignment, which is no reason to give up."""
    a_round = new_round(TRACKER_BATCH_SIZE="5", kafka_partitions=1)
    victim = a_round.start("worker 0", fail="after-poll stop 1")
    a_round.start("scheduler")
    with a_round.playing(MESSAGES):
        victim.wait_until_frozen()
        heir = a_round.start("worker 1")
        published = "SELECT count(*) FROM kafka_progress WHERE published_offset > 50"
        wait_until(lambda: a_round.deployment.rows(published) == [(1,)], "others go on")
        heir.stop()
        victim.thaw()
    finish(a_round)


@pytest.mark.parametrize("point", by_weight(SCHEDULERS))
def test_a_scheduler_that_wakes_when_another_has_its_work(new_round: NewRound, point: str) -> None:
    a_round = new_round(TRACKER_BATCH_SIZE="25")
    victim = a_round.start("scheduler", fail=f"{point} stop {times(point)}")
    a_round.start("worker 0")
    with a_round.playing(MESSAGES):
        victim.wait_until_frozen()
        # Its session has the lock for as long as its connection is there.
        a_round.terminate_backends("tracker-scheduler")
        heir = a_round.start("scheduler")
        a_round.wait_for_log(heir, "scheduler active")
        victim.thaw()
    finish(a_round)


@pytest.mark.skipif(GROUP_PROTOCOL == "consumer", reason="no member can take another's place then")
def test_a_worker_whose_place_in_the_group_another_takes_ends(new_round: NewRound) -> None:
    """It would never be given a record again, and nobody would notice: it has nothing to do."""
    a_round = new_round()
    first = a_round.start("worker 0")
    a_round.wait_until_all_assigned_to(first)
    second = a_round.start("worker 0")
    assert first.wait_for_end() in {ExitStatus.FAILED, ExitStatus.SLOT_SHARED}
    a_round.wait_until_all_assigned_to(second)
    second.stop()
