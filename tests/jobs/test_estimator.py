"""The rate, and the time left: in a simulation, an interval holds about as often as it says."""

import random
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate

import pytest

from tracker.jobs.estimator import MAX_SAMPLES, DecayedRate, Estimator, Interval

Gaps = Callable[[random.Random, int], list[float]]
MARKS = (0.5, 0.8)


def steady(chance: random.Random, tasks: int) -> list[float]:
    """Return the seconds between the ends of tasks: two a second, at random."""
    return [chance.expovariate(2.0) for _ in range(tasks)]


def slowing(chance: random.Random, tasks: int) -> list[float]:
    """The last tasks take more than twice as long as the first."""
    return [chance.expovariate(2.8 - 1.6 * task / tasks) for task in range(tasks)]


def bursty(chance: random.Random, tasks: int) -> list[float]:
    """Six a second for 5 s, then none for 10 s, both on average."""
    gaps = []
    left_s = chance.expovariate(1 / 5)
    for _ in range(tasks):
        gap = working = chance.expovariate(6.0)
        while working > left_s:
            working -= left_s
            gap += chance.expovariate(1 / 10)
            left_s = chance.expovariate(1 / 5)
        left_s -= working
        gaps.append(gap)
    return gaps


def intervals(gaps: list[float], marks: tuple[float, ...]) -> list[tuple[Interval | None, float]]:
    """Look once a second; return the interval at each mark, and how long it then took."""
    ends = list(accumulate(gaps))
    estimator = Estimator(0.0, 0.0)
    time_s = 0.0
    found: list[tuple[Interval | None, float]] = []
    while len(found) < len(marks):
        time_s += 1
        share = bisect_right(ends, time_s) / len(ends)
        estimator.observe(time_s, share)
        if share >= marks[len(found)]:
            found.append((estimator.time_left(), ends[-1] - time_s))
    return found


@pytest.mark.parametrize("tasks", [200, 600, 2_000])
@pytest.mark.parametrize("gaps", [steady, slowing, bursty])
def test_an_interval_holds_in_about_80_of_100_cases(gaps: Gaps, tasks: int) -> None:
    chance = random.Random(tasks)
    runs = 60_000 // tasks
    seen = [found for _ in range(runs) for found in intervals(gaps(chance, tasks), MARKS)]
    held = [interval.low_s <= took_s <= interval.high_s for interval, took_s in seen if interval is not None]
    assert len(held) > 0.7 * len(seen)  # it says nothing of the others
    assert 0.7 <= sum(held) / len(held) <= 0.9


def test_even_progress_makes_it_narrow() -> None:
    for interval, took_s in intervals([0.5] * 600, (0.2, 0.5, 0.8)):
        assert interval is not None
        assert took_s - 2 <= interval.low_s <= took_s <= interval.high_s <= took_s + 2


def test_it_needs_some_progress_to_say_anything() -> None:
    estimator = Estimator(0.0, 0.0)
    assert (estimator.a_second, estimator.time_left()) == (None, None)
    for time_s in range(1, 30):
        estimator.observe(time_s, 0.0)
    assert (estimator.a_second, estimator.time_left()) == (0.0, None)
    estimator.observe(30, 0.5)
    assert estimator.time_left() is None  # nothing can be tested


def test_what_is_done_has_no_time_left() -> None:
    estimator = Estimator(0.0, 0.0)
    for time_s in range(1, 11):
        estimator.observe(time_s, time_s / 10)
    assert estimator.time_left() is None


def test_a_watch_may_begin_in_the_middle() -> None:
    estimator = Estimator(100.0, 0.6)
    for second in range(1, 101):
        estimator.observe(100 + second, 0.6 + second / 500)
    assert estimator.a_second == pytest.approx(0.002)
    interval = estimator.time_left()
    assert interval is not None
    assert interval.low_s <= 100 <= interval.high_s


def test_a_stall_makes_it_slower_and_the_time_longer() -> None:
    estimator = Estimator(0.0, 0.0)
    for second in range(1, 101):
        estimator.observe(second, second / 200)
    moving = estimator.time_left()
    for second in range(101, 161):
        estimator.observe(second, 0.5)
    stalled = estimator.time_left()
    assert moving is not None
    assert stalled is not None
    assert stalled.high_s > 2 * moving.high_s
    assert estimator.a_second is not None
    assert estimator.a_second < 0.0025


def test_a_long_watch_keeps_few_samples() -> None:
    estimator = Estimator(0.0, 0.0)
    for second in range(1, 10_001):
        estimator.observe(second, second / 20_000)
    assert len(estimator._times_s) == len(estimator._shares) == len(estimator._rates) <= MAX_SAMPLES
    interval = estimator.time_left()
    assert interval is not None
    assert interval.low_s <= 10_000 <= interval.high_s


def test_what_is_older_counts_less() -> None:
    rate = DecayedRate(0.0, 0.0)
    for second in range(1, 201):
        rate.observe(second, 10.0 * second)
    assert rate.a_second == pytest.approx(10)
    for second in range(201, 401):
        rate.observe(second, 2_000.0 + 2.0 * (second - 200))
    assert rate.a_second is not None
    assert 2 < rate.a_second < 6  # the mean of all is 6


def test_a_time_that_does_not_pass_changes_nothing() -> None:
    estimator = Estimator(5.0, 0.0)
    estimator.observe(5.0, 0.3)
    estimator.observe(4.0, 0.3)
    assert estimator.a_second is None
