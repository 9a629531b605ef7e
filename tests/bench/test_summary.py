"""The arithmetic of what is reported."""

import json

import pytest

from bench.drain import Figures
from bench.report import document, table
from bench.rounds import Options, Round
from bench.scenarios import SCENARIOS
from bench.summary import Middle, summarize
from bench.tracked import own_settings

OPTIONS = Options(rounds=2, messages=1_000, workers=2, seed=7, batch_size=10_000)


def figures(
    seconds: float, *, contender: float = 0.004, others: float = 0.0, statements: int | None = 10
) -> Figures:
    cpu = {"contender": contender, "broker": 0.003, "postgresql": 0.001, "bench": 0.0, "others": others}
    return Figures(
        messages=1_000,
        seconds=seconds,
        cpu_seconds=cpu,
        peak_bytes=200_000_000,
        wal_bytes=4_000,
        statements=statements,
        longest_statements=[],
        stage_seconds={"decode": seconds / 2, "fold": 0.0},
        timeline=[(0.0, 0), (seconds, 1_000)],
    )


def test_the_middle_of_an_even_count_is_between_the_two_in_the_middle() -> None:
    middle = Middle.of([4.0, 1.0, 3.0, 2.0])

    assert (middle.value, middle.least, middle.most) == (2.5, 1.0, 4.0)
    assert middle.spread == pytest.approx(1.2)


def test_one_round_has_no_spread() -> None:
    assert Middle.of([5.0]).spread == 0.0


def test_the_ratio_is_taken_round_by_round_before_the_median() -> None:
    # A slow round slows both: its ratio is as good as any. The ratio of the medians would be 0.75.
    rounds = [
        Round(figures(1.0), figures(2.0)),
        Round(figures(4.0), figures(8.0)),
        Round(figures(1.5), figures(1.6)),
    ]

    ratio = summarize(rounds, cpus=2).ratio

    assert (ratio.least, ratio.value, ratio.most) == pytest.approx((0.5, 0.5, 0.9375))


def test_costs_are_for_each_message() -> None:
    summary = summarize([Round(figures(1.0), figures(2.0, contender=0.009))], cpus=2).tracker

    assert summary.rate.value == pytest.approx(500)
    assert summary.cpu_us == pytest.approx({"contender": 9.0, "broker": 3.0, "postgresql": 1.0})
    assert summary.all_cpu_us == pytest.approx(13.0)
    assert summary.wal_bytes_a_message == pytest.approx(4.0)
    assert summary.messages_a_statement == pytest.approx(100.0)


def test_what_disturbs_is_a_share_of_all_cpus_in_the_worst_round() -> None:
    rounds = [Round(figures(1.0), figures(2.0, others=0.1)), Round(figures(1.0), figures(2.0, others=1.0))]

    assert summarize(rounds, cpus=2).tracker.others_share == pytest.approx(0.25)


def test_the_table_has_the_ratio_and_warns_of_disturbance() -> None:
    scenario = SCENARIOS["complete"]
    calm = [Round(figures(1.0), figures(2.0))]
    disturbed = [Round(figures(1.0), figures(2.0, others=1.0))]

    text = table(scenario, OPTIONS, calm, summarize(calm, cpus=2))

    assert "ratio to the ceiling: 0.50 (0.50-0.50); to reach: 0.80" in text
    assert "CPU time, where the ceiling's is 1: 1.00" in text
    assert "decode 50%" in text
    assert "Disturbed" not in text
    assert "used up to 25% of this machine's CPUs" in table(
        scenario, OPTIONS, disturbed, summarize(disturbed, 2)
    )


def test_statements_that_cannot_be_counted_are_no_zero() -> None:
    rounds = [Round(figures(1.0), figures(2.0, statements=None))]

    assert "not counted" in table(SCENARIOS["complete"], OPTIONS, rounds, summarize(rounds, cpus=2))


def test_the_document_says_under_which_conditions_it_was_measured() -> None:
    rounds = [Round(figures(1.0), figures(2.0))]
    settings = own_settings({"TRACKER_BATCH_SIZE": "5000"}, workers=2)

    content = document(
        OPTIONS, settings, {"kafka": "4.2.0"}, {"complete": (rounds, summarize(rounds, cpus=2))}
    )

    read = json.loads(json.dumps(content))
    assert read["seed"] == 7
    assert read["settings"]["TRACKER_BATCH_SIZE"] == "5000"
    assert read["versions"]["kafka"] == "4.2.0"
    assert read["hardware"]["cpus"] >= 1
    assert read["scenarios"]["complete"]["summary"]["ratio"]["value"] == 0.5
    assert read["scenarios"]["complete"]["rounds"][0]["tracker"]["messages"] == 1_000
