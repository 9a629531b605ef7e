"""A worker or scheduler that dies, freezes, or thaws as a zombie, at each failpoint."""

import signal

import pytest

from tests.faults.checker import check
from tests.faults.conftest import NewRound
from tests.faults.round import Round
from tests.support.kafka import wait_until
from tests.support.profile import GROUP_PROTOCOL
from tracker.failpoints import POINTS
from tracker.lifeline import ExitStatus

# A worker is hit when it reaches the point for the second time, so that it has done something that must stay.
# A scheduler may reach it only once. No job is old enough for retention here:
# tests/acceptance/test_retention.py kills what removes jobs.
WORKERS = [point for point in POINTS if not point.startswith(("scheduler", "retention"))]
SCHEDULERS = [point for point in POINTS if point.startswith("scheduler")]
MESSAGES = 150


WORST = {"inside-database-transaction", "after-produce", "after-offsets", "scheduler-after-database-commit"}
"""Where most is half done. These always run, the others only in long test runs."""


def by_weight(points: list[str]) -> list[object]:
    """Leave the points at which less is at stake to long test runs."""
    return [point if point in WORST else pytest.param(point, marks=pytest.mark.soak) for point in points]


def times(point: str) -> int:
    """Return at which visit of the point it happens."""
    return 2 if point in WORKERS else 1


def finish(a_round: Round) -> None:
    """Drain, check, and stop. Nothing may be frozen any more."""
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
def test_a_worker_that_thaws_after_another_took_over(new_round: NewRound, point: str) -> None:
    a_round = new_round(TRACKER_BATCH_SIZE="25")
    victim = a_round.start("worker 0", fail=f"{point} stop {times(point)}")
    a_round.start("scheduler")
    with a_round.playing(MESSAGES):
        victim.wait_until_frozen()
        successor = a_round.start("worker 1")
        a_round.wait_until_all_assigned_to(successor)
        victim.thaw()
    finish(a_round)


def test_a_worker_that_thaws_with_old_offsets_of_the_group(new_round: NewRound) -> None:
    """Its first batch is checked against the offsets at its assignment. That is no reason to give up."""
    a_round = new_round(TRACKER_BATCH_SIZE="5", kafka_partitions=1)
    victim = a_round.start("worker 0", fail="after-poll stop 1")
    a_round.start("scheduler")
    with a_round.playing(MESSAGES):
        victim.wait_until_frozen()
        successor = a_round.start("worker 1")
        published = "SELECT count(*) FROM kafka_progress WHERE published_offset > 50"
        wait_until(lambda: a_round.deployment.rows(published) == [(1,)], "others to continue")
        successor.stop()
        victim.thaw()
    finish(a_round)


@pytest.mark.parametrize("point", by_weight(SCHEDULERS))
def test_a_scheduler_that_thaws_after_another_took_over(new_round: NewRound, point: str) -> None:
    a_round = new_round(TRACKER_BATCH_SIZE="25")
    victim = a_round.start("scheduler", fail=f"{point} stop {times(point)}")
    a_round.start("worker 0")
    with a_round.playing(MESSAGES):
        victim.wait_until_frozen()
        # Its session holds the lock as long as its connection exists.
        a_round.terminate_backends("tracker-scheduler")
        successor = a_round.start("scheduler")
        a_round.wait_for_log(successor, "scheduler active")
        victim.thaw()
    finish(a_round)


@pytest.mark.skipif(GROUP_PROTOCOL == "consumer", reason="there no member can replace another")
def test_a_worker_that_another_replaces_in_the_group_ends(new_round: NewRound) -> None:
    """It would get no more records, and nobody would notice: an idle worker looks the same."""
    a_round = new_round()
    first = a_round.start("worker 0")
    a_round.wait_until_all_assigned_to(first)
    second = a_round.start("worker 0")
    assert first.wait_for_end() in {ExitStatus.FAILED, ExitStatus.SLOT_SHARED}
    a_round.wait_until_all_assigned_to(second)
    second.stop()
