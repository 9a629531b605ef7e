"""A whole round, small, on real servers: the ceiling, and the tracker as users run it."""

from bench.rounds import Options, Rounds
from bench.scenarios import SCENARIOS
from bench.servers import Servers
from tracker.stack import LocalStack
from tracker.stack.lifetime import Watchdog


def test_a_round_moves_every_message_and_knows_what_it_cost(stack: LocalStack) -> None:
    said: list[str] = []
    options = Options(rounds=1, messages=2_000, workers=2, seed=1, batch_size=500)
    watchdog = Watchdog()
    try:
        (measured,) = Rounds(Servers(stack), watchdog, options, said.append).run(SCENARIOS["complete"])
    finally:
        watchdog.close()

    for figures in (measured.ceiling, measured.tracker):
        assert figures.messages == 2_000
        assert figures.rate > 0
        assert figures.cpu_seconds["contender"] > 0
        assert figures.peak_bytes > 20e6
        assert figures.timeline[-1][1] == 2_000
    assert measured.tracker.wal_bytes > 0
    assert measured.tracker.stage_seconds["decode"] > 0
    assert said[0] == "complete, round 1 of 1: ceiling"
