"""Reads the words in which people write a filter or a sort; the command line and `Client` share them."""

from collections.abc import Iterable

from tracker.errors import InvalidQuery
from tracker.job_status import STATUSES, JobStatus
from tracker.jobs.filter import JobFilter, LabelFilter, Sort, SortField
from tracker.jobs.validation import find_unstorable, read_partition_id


def read_filter(
    partition_id: str | None, prefix: str | None, statuses: Iterable[str], labels: Iterable[str]
) -> JobFilter:
    """Return the filter that these words describe; None: any.

    :raises InvalidQuery: a status that does not exist, or a text that no job can have.
    :raises BadIdentifier: a malformed partition ID.
    """
    return JobFilter(
        partition_id=None if partition_id is None else read_partition_id(partition_id),
        labels=tuple(map(read_label, labels)),
        prefix=None if prefix is None else read_prefix(prefix),
        statuses=tuple(map(read_status, statuses)),
    )


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


def read_label(text: str) -> LabelFilter:
    """Read ``key`` or ``key=value``.

    :raises InvalidQuery: no label can have this text.
    """
    key, equals, value = _require_storable("label", text).partition("=")
    return LabelFilter(key, value if equals else None)


def read_prefix(text: str) -> str:
    """Return what the IDs of jobs are to begin with.

    :raises InvalidQuery: no job ID can have this text.
    """
    return _require_storable("prefix", text)


def _require_storable(what: str, text: str) -> str:
    if find_unstorable(text) is not None:
        raise InvalidQuery(f"the {what} {text[:100]!a} has a NUL, or half a character")
    return text
