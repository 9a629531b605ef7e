"""The harness itself: without faults it finds no problem."""

from tests.faults.checker import check
from tests.faults.conftest import NewRound


def test_without_faults_there_is_no_problem(new_round: NewRound) -> None:
    a_round = new_round()
    a_round.start("worker 0")
    a_round.start("worker 1")
    a_round.start("scheduler")
    with a_round.playing(messages=2_000):
        pass
    a_round.drain()
    check(a_round)
    a_round.stop()
