"""Which jobs are meant: a tree of conditions, without a syntax.

Each edge parses its own syntax into it: the command line its options, `Client` its keyword arguments, both of
them RSQL.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from tracker.identifiers import JobName
from tracker.job_status import JobStatus


class JobFilter:
    """A condition on jobs. ``&``, ``|`` and ``~`` combine filters."""

    def __and__(self, other: "JobFilter") -> "JobFilter":
        return AllOf((*conjuncts(self), *conjuncts(other)))

    def __or__(self, other: "JobFilter") -> "JobFilter":
        return AnyOf((self, other))

    def __invert__(self) -> "JobFilter":
        return Not(self)


class Comparison(StrEnum):
    """How a value is compared where there is an order."""

    GREATER = ">"
    GREATER_EQUAL = ">="
    LESS = "<"
    LESS_EQUAL = "<="


@dataclass(frozen=True)
class OneOf:
    """A text is one of these."""

    values: tuple[str, ...]


@dataclass(frozen=True)
class NoneOf:
    """A text is none of these; null never matches."""

    values: tuple[str, ...]


@dataclass(frozen=True)
class Begins:
    """A text begins with this."""

    prefix: str


@dataclass(frozen=True)
class Like:
    """A text matches a pattern, in which ``*`` is any text, or does not; null never matches."""

    pattern: str
    negated: bool = False


@dataclass(frozen=True)
class Compares:
    """A text comes before or after this, in the order A, b, C: ASCII letters without their case first."""

    comparison: Comparison
    value: str


@dataclass(frozen=True)
class IsNull:
    """A text is null, or is not."""

    negated: bool = False


TextTest = OneOf | NoneOf | Begins | Like | Compares | IsNull


class TextField(StrEnum):
    """A text that each job has."""

    ID = "id"
    PARTITION_ID = "partitionId"
    NAME = "name"


class TimeField(StrEnum):
    """A time that each job has."""

    CREATE_TIME = "createTime"
    LAST_UPDATE_TIME = "lastUpdateTime"


@dataclass(frozen=True)
class AllOf(JobFilter):
    """Jobs that match all of these; without any, every job."""

    parts: tuple[JobFilter, ...] = ()


@dataclass(frozen=True)
class AnyOf(JobFilter):
    """Jobs that match one of these or more; without any, no job."""

    parts: tuple[JobFilter, ...] = ()


@dataclass(frozen=True)
class Not(JobFilter):
    """Jobs that do not match this."""

    part: JobFilter


@dataclass(frozen=True)
class HasName(JobFilter):
    """These jobs."""

    names: tuple[JobName, ...]


@dataclass(frozen=True)
class HasStatus(JobFilter):
    """Jobs with one of these statuses."""

    statuses: tuple[JobStatus, ...]


@dataclass(frozen=True)
class HasText(JobFilter):
    """Jobs that have a text."""

    field: TextField
    test: TextTest


@dataclass(frozen=True)
class HasLabel(JobFilter):
    """Jobs that have a label with this key, and with a value that passes the test, if there is one."""

    key: str
    test: TextTest | None = None


@dataclass(frozen=True)
class WaitsFor(JobFilter):
    """Jobs with an unmet prerequisite whose job ID passes the test, or any, if there is none."""

    test: TextTest | None = None


@dataclass(frozen=True)
class DependsOn(JobFilter):
    """Jobs that wait for this one: it is an unmet prerequisite, and they have not ended.

    So are jobs that have failed by propagation, because they wait again once they are retried. If it is
    `transitive`, also those that wait for these, and so on.
    """

    name: JobName
    transitive: bool = False


@dataclass(frozen=True)
class HasPercentage(JobFilter):
    """Jobs whose percentage, with its two decimals, is one of `values`, or compares with the first."""

    values: tuple[Decimal, ...]
    comparison: Comparison | None = None


@dataclass(frozen=True)
class HasAttempt(JobFilter):
    """Jobs that were started one of `values` times, or a number of times that compares with the first."""

    values: tuple[int, ...]
    comparison: Comparison | None = None


@dataclass(frozen=True)
class HasTime(JobFilter):
    """Jobs whose time, in milliseconds since 1970, is one of `values`, or compares with the first."""

    field: TimeField
    values: tuple[int, ...]
    comparison: Comparison | None = None


EVERY_JOB = AllOf()


def follows_edges(wanted: JobFilter) -> bool:
    """Return whether jobs match because of what other jobs wait for."""
    match wanted:
        case DependsOn():
            return wanted.transitive
        case AllOf() | AnyOf():
            return any(map(follows_edges, wanted.parts))
        case Not():
            return follows_edges(wanted.part)
    return False


def conjuncts(wanted: JobFilter) -> tuple[JobFilter, ...]:
    """Return filters all of which a job matches exactly if it matches this one."""
    if not isinstance(wanted, AllOf):
        return (wanted,)
    return tuple(part for each in wanted.parts for part in conjuncts(each))
