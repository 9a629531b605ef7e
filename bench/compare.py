"""Compare two runs: which figures improved or worsened beyond the noise."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.outcome import Metric
from bench.report import outcomes_of
from bench.tables import aligned, shown

SINGLE_ROUND_NOISE = 0.1
"""The assumed noise of a figure that was measured once; several rounds show their noise themselves."""
MIN_CHANGE = 0.02
"""Smaller changes are not shown, however certain they are."""


@dataclass(frozen=True)
class Difference:
    """A figure that has changed beyond the noise."""

    scenario: str
    case: str
    before: Metric
    after: Metric

    @property
    def change(self) -> float:
        """The change of the median, as a share of its value before."""
        return self.after.median.value / self.before.median.value - 1

    @property
    def better(self) -> bool:
        """Whether the figure improved."""
        return (self.change > 0) == (self.before.better == "more")


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return the comparison of two files' contents, as text."""
    lines = [f"Not the same in both: {each}." for each in _changed_conditions(before, after)]
    pairs = list(_pairs(before, after))
    if not pairs:
        return "\n".join([*lines, "The two runs have no scenario in common."])
    differences = [each for each in pairs if beyond_noise(each.before, each.after)]
    for word, found in (
        ("Worse", [each for each in differences if not each.better]),
        ("Better", [each for each in differences if each.better]),
    ):
        if found:
            lines += ["", f"{word}:", *_table(found)]
    same = len(pairs) - len(differences)
    lines += ["", f"{same} of {len(pairs)} figures have not changed beyond the noise."]
    if any(min(len(each.before.values), len(each.after.values)) < 2 for each in pairs):
        lines.append(
            f"Some were measured once; for those, a change of less than {SINGLE_ROUND_NOISE:.0%} is noise."
        )
    return "\n".join(lines).lstrip("\n")


def beyond_noise(before: Metric, after: Metric) -> bool:
    """Return whether the rounds of the two do not overlap, and their medians differ enough."""
    one, other = before.median, after.median
    if not one.value or abs(other.value / one.value - 1) < MIN_CHANGE:
        return False
    if min(len(before.values), len(after.values)) < 2:
        return abs(other.value / one.value - 1) >= SINGLE_ROUND_NOISE
    return other.least > one.most or other.most < one.least


def _pairs(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield each figure that both runs have and that has a better direction."""
    earlier, later = outcomes_of(before), outcomes_of(after)
    for scenario, outcome in earlier.items():
        cases = {case.name: case for case in later[scenario].cases} if scenario in later else {}
        for case in outcome.cases:
            for metric in case.metrics:
                other = cases[case.name].get(metric.key) if case.name in cases else None
                if other is not None and metric.better:
                    yield Difference(scenario, case.name, metric, other)


def _table(differences: Sequence[Difference]) -> list[str]:
    rows = [["scenario", "before", "after", "change"]]
    for each in sorted(differences, key=lambda each: -abs(each.change)):
        name = f"{each.scenario}, {each.case}: {each.before.label}"
        rows.append([name, shown(each.before), shown(each.after), f"{each.change:+.0%}"])
    return aligned(rows)


def _changed_conditions(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the conditions in which the runs differ: their figures may not be comparable."""
    found = []
    for part in ("hardware", "versions", "settings", "options"):
        names = before[part].keys() | after[part].keys()
        for name in sorted(names - {"batch_size"}):
            one, other = before[part].get(name), after[part].get(name)
            if one != other:
                found.append(f"{name} ({one} before, {other} after)")
    return found
