"""What the rounds of a scenario say together: medians, and how far they are apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.drain import Figures
from bench.rounds import Round

CPU_PARTS = ("contender", "broker", "postgresql")
DISTURBED = 0.05
"""A round in which everything else on the machine used more than this share of its CPUs is no good."""


@dataclass(frozen=True)
class Middle:
    """The median of some numbers, with the least and the most."""

    value: float
    least: float
    most: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Middle":
        """Return that of at least one number."""
        return cls(median(numbers), min(numbers), max(numbers))

    @property
    def spread(self) -> float:
        """How far the least and the most are apart, as a share of the median."""
        return (self.most - self.least) / self.value if self.value else 0.0


@dataclass(frozen=True)
class ContenderSummary:
    """One contender over all rounds. CPU times are microseconds a message."""

    rate: Middle
    cpu_us: dict[str, float]
    others_share: float  # of the machine's CPUs, in the worst round
    peak_bytes: int
    wal_bytes_a_message: float
    messages_a_statement: float | None  # None: not counted, or there were none

    @property
    def all_cpu_us(self) -> float:
        """Microseconds of CPU time a message, of all parts together."""
        return sum(self.cpu_us.values())


@dataclass(frozen=True)
class Summary:
    """Both, and the ratio of their speeds round by round."""

    ceiling: ContenderSummary
    tracker: ContenderSummary
    ratio: Middle

    @property
    def cpu_factor(self) -> float:
        """How many times the ceiling's CPU time the tracker takes; noise bends it less than the ratio."""
        return self.tracker.all_cpu_us / self.ceiling.all_cpu_us


def summarize(rounds: Sequence[Round], cpus: int) -> Summary:
    """Return the summary of at least one round."""
    return Summary(
        ceiling=_of_contender([each.ceiling for each in rounds], cpus),
        tracker=_of_contender([each.tracker for each in rounds], cpus),
        ratio=Middle.of([each.ratio for each in rounds]),
    )


def _of_contender(figures: Sequence[Figures], cpus: int) -> ContenderSummary:
    statements = [each.messages / each.statements for each in figures if each.statements]
    return ContenderSummary(
        rate=Middle.of([each.rate for each in figures]),
        cpu_us={
            part: median([each.cpu_seconds[part] / each.messages * 1e6 for each in figures])
            for part in CPU_PARTS
        },
        others_share=max(each.cpu_seconds["others"] / each.seconds / cpus for each in figures),
        peak_bytes=max(each.peak_bytes for each in figures),
        wal_bytes_a_message=median([each.wal_bytes / each.messages for each in figures]),
        messages_a_statement=median(statements) if statements else None,
    )
