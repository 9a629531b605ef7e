"""Reads the words in which people write a filter or a sort; the command line and `Client` share them."""

from collections.abc import Iterable

from tracker.errors import InvalidQuery
from tracker.job_filter import (
    AllOf,
    Begins,
    DependsOn,
    HasLabel,
    HasStatus,
    HasText,
    JobFilter,
    OneOf,
    TextField,
    conjuncts,
)
from tracker.job_status import STATUSES, JobStatus
from tracker.jobs.filter import Sort, SortField
from tracker.jobs.job import JobReference
from tracker.jobs.validation import find_unstorable, read_job_name, read_partition_id


def read_filter(
    partition_id: str | None = None,
    prefix: str | None = None,
    statuses: Iterable[str] = (),
    labels: Iterable[str] = (),
    matching: str | JobFilter | None = None,
    waiting_for: JobReference | None = None,
    *,
    transitive: bool = False,
) -> JobFilter:
    """Return the filter that these words describe; None: any. `matching` is RSQL, or a filter already.

    :raises InvalidQuery: a status that does not exist, a text that no job can have, RSQL that is none, or
        `transitive` without `waiting_for`.
    :raises BadIdentifier: a malformed partition ID, or name of a job.
    """
    parts: list[JobFilter] = []
    if partition_id is not None:
        parts.append(HasText(TextField.PARTITION_ID, OneOf((read_partition_id(partition_id),))))
    if prefix is not None and read_prefix(prefix):
        parts.append(HasText(TextField.ID, Begins(prefix)))
    if wanted := tuple(map(read_status, statuses)):
        parts.append(HasStatus(wanted))
    parts += map(read_label, labels)
    if waiting_for is not None:
        parts.append(DependsOn(read_job_name(waiting_for), transitive))
    elif transitive:
        raise InvalidQuery("`transitive` is for jobs that wait for another one, and none is named")
    if matching is not None:
        parts += conjuncts(read_rsql(matching) if isinstance(matching, str) else matching)
    return AllOf(tuple(parts))


def read_rsql(text: str) -> JobFilter:
    """Read RSQL.

    :raises InvalidQuery: it is malformed, or too large; the text says where, and what was expected.
    """
    # lark takes 40 ms to load.
    from tracker.jobs import rsql

    return rsql.read_rsql(text)


def read_status(text: str) -> JobStatus:
    """Return the status with this name, in upper or lower case.

    :raises InvalidQuery: there is no such status.
    """
    for status in STATUSES:
        if status.lower() == text.lower():
            return status
    raise InvalidQuery(f"{text!r} is not a status: {', '.join(STATUSES)}")


def read_sort(text: str) -> Sort:
    """Read ``createTime``, ``lastUpdateTime`` or ``id``, descending with ``-`` before it.

    :raises InvalidQuery: it is none of them.
    """
    name = text.removeprefix("-")
    if name not in set(SortField):
        raise InvalidQuery(f"{text!r} is not a sort: {', '.join(SortField)}, with - before it for descending")
    return Sort(SortField(name), descending=text.startswith("-"))


def read_label(text: str) -> HasLabel:
    """Read ``key`` or ``key=value``.

    :raises InvalidQuery: no label can have this text.
    """
    key, equals, value = _require_storable("label", text).partition("=")
    return HasLabel(key, OneOf((value,)) if equals else None)


def read_prefix(text: str) -> str:
    """Return what the IDs of jobs are to begin with.

    :raises InvalidQuery: no job ID can have this text.
    """
    return _require_storable("prefix", text)


def _require_storable(what: str, text: str) -> str:
    if find_unstorable(text) is not None:
        raise InvalidQuery(f"the {what} {text[:100]!a} has a NUL, or half a character")
    return text
