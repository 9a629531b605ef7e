"""Which differences between two runs a comparison shows."""

import pytest

from bench.compare import beyond_noise, compare
from bench.outcome import Better, Case, Metric, Outcome
from bench.report import document
from bench.session import Options
from bench.tracker_process import tracker_settings

OPTIONS = Options(rounds=3, messages=1_000, workers=2, seed=7, batch_size=10_000)


def metric(*values: float, better: Better = "more") -> Metric:
    return Metric("rate", "messages/s", values, better)


def run(*metrics: Metric, scenario: str = "complete", options: Options = OPTIONS) -> dict[str, object]:
    outcome = Outcome("", [Case("tracker", metrics)])
    settings = tracker_settings({}, workers=2)
    return document(options, settings, {"kafka": "4.2.0"}, {scenario: outcome})


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ((100, 110, 90), (120, 130, 111), True),
        ((100, 110, 90), (120, 130, 109), False),  # one round of it was as slow as one before
        ((100, 110, 90), (80, 85, 89), True),
        ((1_000, 1_001, 999), (1_010, 1_011, 1_009), False),  # sure, and not worth a word
        ((100,), (109,), False),
        ((100,), (111,), True),
        ((100, 100, 100), (109,), False),
        ((0.0,), (5.0,), False),  # no share can be told
    ],
)
def test_a_change_counts_if_all_rounds_are_on_one_side(
    before: tuple[float, ...], after: tuple[float, ...], changed: bool
) -> None:
    assert beyond_noise(metric(*before), metric(*after)) is changed


def test_what_is_better_depends_on_the_figure() -> None:
    costs = Metric("cpu_us", "CPU µs/message", (5.0, 5.1, 4.9), "less", None, 2)
    more_costs = Metric("cpu_us", "CPU µs/message", (6.0, 6.1, 5.9), "less", None, 2)

    text = compare(run(metric(100, 101, 99), costs), run(metric(120, 121, 119), more_costs))

    worse, _, better = text.partition("Better:")
    assert "complete, tracker: CPU µs/message  5.00 ±2%  6.00 ±2%    +20%" in worse
    assert "complete, tracker: messages/s  100 ±1%  120 ±1%    +20%" in better
    assert "0 of 2 figures have not changed" in text


def test_what_is_the_same_is_counted() -> None:
    text = compare(run(metric(100, 101)), run(metric(100, 102)))

    assert text == "1 of 1 figures have not changed beyond the noise."


def test_figures_without_a_better_direction_are_left_out() -> None:
    text = compare(run(metric(100, better="")), run(metric(200, better="")))

    assert "no scenario in common" in text


def test_other_conditions_are_named() -> None:
    other = Options(rounds=3, messages=5_000, workers=2, seed=7, batch_size=10_000)

    text = compare(run(metric(100)), run(metric(100), options=other))

    assert "Not the same in both: messages (1000 before, 5000 after)." in text
    assert "Some were measured once" in text


def test_runs_of_different_scenarios_have_nothing_to_compare() -> None:
    assert "no scenario in common" in compare(run(metric(1)), run(metric(1), scenario="nested"))
