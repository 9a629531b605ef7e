"""Estimates how fast something is done, and how much longer it takes, from what was seen of it so far.

It does no I/O and asks no clock. The *rate* is the mean of what was done a second, in which what is older
counts less. The *time left* is an interval: what is left, divided by the rate, and as wide as earlier
estimates of the same kind have been wrong. For this the estimator looks back: at each of some moments, it
compares how long the next part should have taken by the rate of that moment with how long it took.

`tests/jobs/test_estimator.py` simulates steady, slowing and bursty progress: an interval holds in 70 to 90 of
100 cases. Tried and rejected: bars for a random number of tasks a second (Poisson), which hold in fewer than
10 of 100 cases if progress comes in bursts or slows down; and the quantiles of the earlier errors by
themselves, which are too few: they overlap, and held in 42 of 100 cases where progress slows down.
"""

import math
from bisect import bisect_left
from typing import NamedTuple

SHORTEST_MEMORY_S = 30.0
MEMORY_SHARE = 0.5  # of the time so far: what is older than this counts for little
MAX_SAMPLES = 256
MAX_TESTS = 64
MIN_TESTS = 8
LONGEST_TEST_SHARE = 1 / 3  # of what was done so far: longer ones would leave too few
# How many independent tests begin within the length of one. Found by simulation.
TESTS_A_LENGTH = 2.5
# By which power of the length the mean error grows. Found by simulation too: 1 is right where progress slows
# down evenly, and makes too much of chance elsewhere.
GROWTH_OF_ERRORS = 0.75
NORMAL_QUANTILE = 1.2816  # 80 % of a normal distribution are within so many standard deviations
MAX_EXPONENT = 15.0  # of e; an interval is never wider than any number means something


class Interval(NamedTuple):
    """What lies between two numbers of seconds, in 80 of 100 cases."""

    low_s: float
    high_s: float


class DecayedRate:
    """How much is done a second: a mean in which what is older counts less."""

    def __init__(self, time_s: float, done: float) -> None:
        self._begun_s = self._time_s = time_s
        self._done = done
        self._amount = 0.0  # that was done, and the time that it took, both decayed
        self._seconds = 0.0

    def observe(self, time_s: float, done: float) -> None:
        """Note how much is done in all at a later time."""
        passed_s = time_s - self._time_s
        if passed_s <= 0:
            return
        memory_s = max(SHORTEST_MEMORY_S, MEMORY_SHARE * (time_s - self._begun_s))
        kept = math.exp(-passed_s / memory_s)
        self._amount = self._amount * kept + max(0.0, done - self._done)
        self._seconds = self._seconds * kept + passed_s
        self._time_s, self._done = time_s, done

    @property
    def a_second(self) -> float | None:
        """The rate; None: it was observed only once."""
        return self._amount / self._seconds if self._seconds else None


class Estimator:
    """Estimates when something is done whole, from the share of it that is done (0 to 1)."""

    def __init__(self, time_s: float, share: float) -> None:
        self._rate = DecayedRate(time_s, share)
        self._first_share = share
        # For each sample: its time, the share that was done since the first, and the rate as it was then.
        self._times_s = [time_s]
        self._shares = [0.0]
        self._rates = [0.0]
        # All but the last sample are so many observations apart, so that a long watch keeps few.
        self._stride = 1
        self._observations = 0
        self._resolution_s = 0.0  # between the last two observations

    @property
    def a_second(self) -> float | None:
        """The share that is done a second; None: not known yet."""
        return self._rate.a_second

    def observe(self, time_s: float, share: float) -> None:
        """Note which share is done at a later time; it never falls."""
        if time_s <= self._times_s[-1]:
            return
        self._rate.observe(time_s, share)
        self._resolution_s = time_s - self._times_s[-1]
        done = max(self._shares[-1], share - self._first_share)
        if self._observations % self._stride:  # the last sample was only one for the time being
            for samples in (self._times_s, self._shares, self._rates):
                del samples[-1]
        elif len(self._times_s) >= MAX_SAMPLES:
            self._stride *= 2
            for samples in (self._times_s, self._shares, self._rates):
                del samples[1::2]
        self._observations += 1
        self._times_s.append(time_s)
        self._shares.append(done)
        self._rates.append(self._rate.a_second or 0.0)

    def time_left(self) -> Interval | None:
        """Return how long it takes until all is done; None: too little was seen to say it."""
        done = self._shares[-1]
        left = 1 - self._first_share - done
        rate = self._rates[-1]
        if not done or not rate or left <= 0:
            return None
        length = min(left, done * LONGEST_TEST_SHARE)
        starts, errors = self._look_back(length)
        if len(errors) < MIN_TESTS:
            return None
        shift, spread = _sum_up(errors, 1 + TESTS_A_LENGTH * (starts[-1] - starts[0]) / length)
        # If it slows down, errors grow with the length, and what is left may be longer than any test.
        longer = left / length
        shift *= min(longer, 1 / LONGEST_TEST_SHARE) ** GROWTH_OF_ERRORS
        spread *= math.sqrt(max(1.0, longer * LONGEST_TEST_SHARE / 2))
        expected_s = left / rate
        return Interval(
            max(0.0, expected_s * _exp(shift - spread) - self._resolution_s),
            expected_s * _exp(shift + spread) + self._resolution_s,
        )

    def _look_back(self, length: float) -> tuple[list[float], list[float]]:
        """Test the estimates of earlier moments on the next share of this length.

        Return how much was done at each of these moments, and the logarithm of how many times as long as
        estimated it then took.
        """
        shares, times_s = self._shares, self._times_s
        starts: list[float] = []
        errors: list[float] = []
        for index in range(bisect_left(shares, length), len(shares), len(shares) // MAX_TESTS + 1):
            goal = shares[index] + length
            after = bisect_left(shares, goal - 1e-12)
            if after == len(shares):
                break
            reached_s = times_s[after]
            step = shares[after] - shares[after - 1]
            if step > 0:
                reached_s -= (times_s[after] - times_s[after - 1]) * max(0.0, shares[after] - goal) / step
            starts.append(shares[index])
            errors.append(math.log((reached_s - times_s[index]) * self._rates[index] / length))
        return starts, errors


def _sum_up(errors: list[float], independent: float) -> tuple[float, float]:
    """Return the mean of the errors, and how far from it another one is in 80 of 100 cases at most.

    Tests overlap: only so many are `independent`. As in Student's distribution, few make the spread larger.
    Their mean counts as an error itself: where it is not 0, progress has slowed down or become faster, and
    may do so again.
    """
    mean = sum(errors) / len(errors)
    variance = sum((error - mean) ** 2 for error in errors) / len(errors) + mean**2
    freedom = max(1.0, independent - 1)
    quantile = NORMAL_QUANTILE * (1 + 0.97 / freedom + 0.6 / freedom**2)
    return mean, quantile * math.sqrt(variance * (1 + 1 / independent))


def _exp(exponent: float) -> float:
    return math.exp(min(MAX_EXPONENT, max(-MAX_EXPONENT, exponent)))
