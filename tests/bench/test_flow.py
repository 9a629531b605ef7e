"""What follows from the times at which messages arrive."""

from array import array
from collections.abc import Sequence
from math import nan
from typing import cast

import pytest
from confluent_kafka import Message

from bench.errors import BenchError, WrongResult
from bench.flow import Arrivals, wait_for_zero
from bench.scenarios.cancel import last_forwards
from bench.scenarios.release import chain, dependents, lattice, prerequisites
from bench.workload import TaskMessageFactory, Topics

JOBS, CANCELLED = 1_000, 500


class Record:
    """A record with a message of this number."""

    envelope = TaskMessageFactory(Topics.of("bench"), seed=1)

    def __init__(self, number: int) -> None:
        self._value = self.envelope.message(number, 0, "job", b"1")

    def value(self) -> bytes:
        return self._value


def records(*numbers: int) -> list[Message]:
    return cast(list[Message], [Record(number) for number in numbers])


def test_arrivals_are_kept_by_number_whatever_their_order() -> None:
    arrivals = Arrivals(3)

    arrivals.record(1.0, records(2, 0))
    arrivals.record(2.0, records(1))

    assert list(arrivals.times) == [1.0, 2.0, 1.0]
    arrivals.wait([], timeout_s=0)


def test_a_message_that_arrives_twice_is_noticed() -> None:
    arrivals = Arrivals(3)
    arrivals.record(1.0, records(2))

    with pytest.raises(WrongResult, match="message 2 has arrived twice"):
        arrivals.record(2.0, records(2))


def test_a_wait_without_progress_ends() -> None:
    with pytest.raises(BenchError, match="1 messages have not arrived, without progress for 0 s"):
        Arrivals(1).wait([], timeout_s=0)


def test_a_check_ends_the_wait() -> None:
    def check() -> None:
        raise BenchError("it has ended")

    with pytest.raises(BenchError, match="it has ended"):
        wait_for_zero(lambda: 1, [check], 60, "things")


def arrived(rounds: Sequence[float], of_cancelled: int) -> "array[float]":
    """Return arrivals: a message of each job per round, of cancelled jobs in `of_cancelled` rounds only."""
    times = array("d")
    for number, at in enumerate(rounds):
        times.extend([at if number < of_cancelled else nan] * CANCELLED + [at] * (JOBS - CANCELLED))
    return times


def test_the_last_forward_is_that_before_the_first_drop() -> None:
    last = last_forwards(arrived([1.0, 2.0, 3.0], of_cancelled=2), committed=1.5)

    assert last == [0.5] * CANCELLED


def test_a_forward_after_a_drop_is_wrong() -> None:
    times = arrived([1.0, 2.0, 3.0], of_cancelled=1)
    times[2 * JOBS + 7] = 3.0

    with pytest.raises(WrongResult, match="a message of job 7 was dropped, and a later one was not"):
        last_forwards(times, committed=1.5)


def test_a_drop_of_a_job_that_was_not_cancelled_is_wrong() -> None:
    times = arrived([1.0, 2.0, 3.0], of_cancelled=1)
    times[2 * JOBS + 700] = nan

    with pytest.raises(WrongResult, match="a message of job 700, which was not cancelled, was dropped"):
        last_forwards(times, committed=1.5)


def test_a_cancel_that_drops_nothing_measures_nothing() -> None:
    with pytest.raises(BenchError, match="only after all messages had been forwarded"):
        last_forwards(arrived([1.0, 2.0], of_cancelled=2), committed=1.5)


def test_graphs_have_the_edges_that_their_names_say() -> None:
    assert dependents(2).prerequisites == [(), (0,), (0,)]
    assert chain(2).prerequisites == [(), (0,), (1,)]
    assert prerequisites(2).prerequisites == [(), (), (0, 1)]
    diamond = lattice(3)
    assert [len(needed) for needed in diamond.prerequisites] == [0, 0, 0] + [2] * 6
    assert set(diamond.prerequisites[5]) == {2, 0}  # it wraps around after the last
    assert diamond.waiting == [3, 4, 5, 6, 7, 8]
