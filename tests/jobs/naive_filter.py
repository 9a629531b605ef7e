"""What a filter means, said in Python, without a database: for comparison with what it selects."""

import operator
import re
from decimal import Decimal
from typing import Any

import msgspec

from tracker import Job
from tracker.identifiers import JobName
from tracker.job_filter import (
    AllOf,
    AnyOf,
    Begins,
    Compares,
    Comparison,
    DependsOn,
    HasAttempt,
    HasLabel,
    HasName,
    HasPercentage,
    HasStatus,
    HasText,
    HasTime,
    IsNull,
    JobFilter,
    Like,
    NoneOf,
    Not,
    OneOf,
    TextTest,
    WaitsFor,
)

_COMPARES: dict[Comparison, Any] = {
    Comparison.GREATER: operator.gt,
    Comparison.GREATER_EQUAL: operator.ge,
    Comparison.LESS: operator.lt,
    Comparison.LESS_EQUAL: operator.le,
}


class StoredJob(Job, frozen=True, kw_only=True):
    """A job, with the nulls that are shown as empty texts."""

    stored_name: str | None = None
    stored_attempt: int = 1
    stored_labels: dict[str, str | None] = msgspec.field(default_factory=dict)
    stored_waits_for: frozenset[JobName] = frozenset()  # directly, and not having ended
    stored_upstream: frozenset[JobName] = frozenset()  # directly or not


def matches(job: StoredJob, wanted: JobFilter) -> bool:  # noqa: C901 - a case for each kind of filter
    """Return whether a job matches a filter."""
    match wanted:
        case AllOf(parts):
            return all(matches(job, part) for part in parts)
        case AnyOf(parts):
            return any(matches(job, part) for part in parts)
        case Not(part):
            return not matches(job, part)
        case HasName(names):
            return JobName(job.partition_id, job.id) in names
        case HasStatus(statuses):
            return job.status in statuses
        case HasText(field, test):
            texts = {"id": job.id, "partitionId": job.partition_id, "name": job.stored_name}
            return passes(texts[field], test)
        case HasLabel(key, test):
            return key in job.stored_labels and (test is None or passes(job.stored_labels[key], test))
        case WaitsFor(test):
            return any(test is None or passes(job_id, test) for job_id in job.prerequisite_job_ids)
        case DependsOn(name, transitive):
            return name in (job.stored_upstream if transitive else job.stored_waits_for)
        case HasPercentage(values, comparison):
            return _compares(Decimal(str(job.percentage_complete)), values, comparison)
        case HasAttempt(values, comparison):
            return _compares(job.stored_attempt, values, comparison)
        case HasTime(field, values, comparison):
            time_ms = {"createTime": job.create_time_ms, "lastUpdateTime": job.last_update_time_ms}[field]
            return _compares(time_ms, values, comparison)
    raise AssertionError(wanted)


def _compares(found: Any, values: tuple[Any, ...], comparison: Comparison | None) -> bool:
    return found in values if comparison is None else bool(_COMPARES[comparison](found, values[0]))


def passes(text: str | None, test: TextTest) -> bool:
    """Return whether a text passes a test."""
    if isinstance(test, IsNull):
        return (text is None) != test.negated
    if text is None:
        return False
    match test:
        case OneOf(values):
            return text in values
        case NoneOf(values):
            return text not in values
        case Begins(prefix):
            return text.startswith(prefix)
        case Like(pattern, negated):
            expression = ".*".join(map(re.escape, pattern.split("*")))
            return (re.fullmatch(expression, text, re.DOTALL) is not None) != negated
        case Compares(comparison, value):
            return bool(_COMPARES[comparison](_place(text), _place(value)))


def _place(text: str) -> tuple[bytes, bytes]:
    encoded = text.encode()
    return encoded.lower(), encoded
