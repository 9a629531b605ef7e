"""The outcome of a scenario: cases, each with metrics, each with a value for every round."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

Better = Literal["more", "less", ""]


@dataclass(frozen=True)
class Median:
    """The median of some numbers, with the least and the most of them."""

    value: float
    least: float
    most: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Median":
        """Return the median of at least one number."""
        return cls(median(numbers), min(numbers), max(numbers))

    @property
    def spread(self) -> float:
        """The distance of the number farthest from the median, as a share of it; 0 unless it is positive."""
        return max(self.most - self.value, self.value - self.least) / self.value if self.value > 0 else 0.0


@dataclass(frozen=True)
class Metric:
    """One figure of a case, with a value for each round.

    `key` names the figure in files and never changes; `label` is for people. `better` says which direction
    is better, and is empty where neither is. `goal` is the value that the tracker should reach.
    """

    key: str
    label: str
    values: Sequence[float]
    better: Better = ""
    goal: float | None = None
    digits: int = 0

    @property
    def median(self) -> Median:
        """The median of the rounds, with their spread."""
        return Median.of(self.values)


@dataclass(frozen=True)
class Case:
    """One variant of a scenario: a contender, a size, a setting. `at` is its position on a picture's axis."""

    name: str
    metrics: Sequence[Metric]
    at: float | None = None

    def __getitem__(self, key: str) -> Metric:
        return next(metric for metric in self.metrics if metric.key == key)

    def get(self, key: str) -> Metric | None:
        """Return the metric with this key, if there is one."""
        return next((metric for metric in self.metrics if metric.key == key), None)


@dataclass(frozen=True)
class Outcome:
    """A scenario's cases. `size` says how much was measured; `raw` has all that was measured, for later."""

    size: str
    cases: Sequence[Case]
    notes: Sequence[str] = ()
    raw: Any = field(default=None)

    def case(self, name: str) -> Case:
        """Return the case with this name."""
        return next(case for case in self.cases if case.name == name)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return a percentile of ordered values, by nearest rank: `share` of them do not exceed it."""
    rank = max(1, -(-len(ordered) * round(share * 10_000) // 10_000))
    return ordered[rank - 1]


def latency_metrics(
    rounds: Iterable[Sequence[float]], *, goal_ms: tuple[float, float] | None = None
) -> list[Metric]:
    """Return the metrics of each round's latencies in seconds. `goal_ms` has the goals of p50 and p99."""
    ordered = [sorted(latency * 1000 for latency in each) for each in rounds]
    p50, p99 = goal_ms or (None, None)
    return [
        Metric("p50_ms", "p50 ms", [percentile(each, 0.5) for each in ordered], "less", p50, 1),
        Metric("p99_ms", "p99 ms", [percentile(each, 0.99) for each in ordered], "less", p99, 1),
        Metric("max_ms", "max ms", [each[-1] for each in ordered], "less", None, 1),
    ]


def size_text(messages: int, unit: str, workers: int, rounds: int) -> str:
    """Return how much was measured, in words."""
    return f"{messages:,} {unit}, {_workers(workers)}, {rounds_text(rounds)}; results verified"


def rounds_text(rounds: int) -> str:
    """Return how many rounds there were, in words."""
    return "1 round" if rounds == 1 else f"{rounds} rounds"


def _workers(count: int) -> str:
    return "1 worker" if count == 1 else f"{count} workers"
