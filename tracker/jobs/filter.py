"""Filters and orders of jobs: the parts of a statement that depend on what is asked for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Composed, Placeholder

from tracker.errors import JobRefused
from tracker.identifiers import JobName
from tracker.jobs.arguments import check_several, check_text
from tracker.jobs.job import STATUSES, JobStatus
from tracker.jobs.validation import find_unstorable, read_partition_id
from tracker.store.queries import query

SORTS = {
    "createTime": ("create_time", "job_key"),
    "lastUpdateTime": ("last_update_time", "job_key"),
    "id": ("partition_id", "job_id"),
}


@dataclass(frozen=True)
class JobFilter:
    """Which jobs: those that match all that is given."""

    names: Sequence[JobName] | None = None
    partition_id: str | None = None
    prefix: str | None = None  # of the job ID
    statuses: Sequence[JobStatus] = ()  # any of them; none: whatever it is
    labels: Sequence[tuple[str, str | None]] = ()  # all of them; without a value: any

    def condition(self) -> tuple[Composed, dict[str, object]]:
        """Return the conditions of ``list_jobs`` and ``count_jobs``, and their parameters."""
        parts: list[Composable] = []
        parameters: dict[str, object] = {}
        partition_ids = self._partition_ids()
        if partition_ids is not None:
            parts.append(query("matches_partition"))
            parameters["partition_ids"] = partition_ids
        if self.names is not None:
            parts.append(query("matches_name"))
            parameters["name_partition_ids"] = [name.partition_id for name in self.names]
            parameters["name_job_ids"] = [name.job_id for name in self.names]
        if self.prefix:
            parts.append(query("matches_prefix"))
            parameters["prefix"] = self.prefix
        if self.statuses:
            parts.append(query("matches_status"))
            parameters["statuses"] = [STATUSES.index(status) for status in self.statuses]
        for number, (key, value) in enumerate(self.labels):
            names = f"label_key_{number}", f"label_value_{number}"
            parameters[names[0]] = key
            if value is None:
                parts.append(query("has_label").format(label_key=Placeholder(names[0])))
                continue
            parameters[names[1]] = value
            parts.append(
                query("matches_label").format(
                    label_key=Placeholder(names[0]), label_value=Placeholder(names[1])
                )
            )
        return SQL("\n").join(parts), parameters

    def _partition_ids(self) -> list[str] | None:
        """Return the partition IDs to look into, or None for all."""
        if self.names is not None:
            return sorted({name.partition_id for name in self.names})
        return None if self.partition_id is None else [self.partition_id]


def read_filter(
    partition_id: str | None = None,
    prefix: str | None = None,
    status: str | Iterable[str] = (),
    label: str | Iterable[str] = (),
) -> JobFilter:
    """Check what a user asks for.

    :raises JobRefused: a status that does not exist, or a text that no job can have.
    :raises BadIdentifier: a malformed partition ID.
    """
    if partition_id is not None:
        read_partition_id(partition_id)
    labels = []
    for text in check_several("labels", label):
        key, equals, value = _storable("label", text).partition("=")
        labels.append((key, value if equals else None))
    return JobFilter(
        partition_id=partition_id,
        prefix=None if prefix is None else _storable("prefix", prefix),
        statuses=[read_status(text) for text in check_several("statuses", status)],
        labels=labels,
    )


def read_status(text: str) -> JobStatus:
    """Return the status with this name, in whatever case.

    :raises JobRefused: there is none.
    """
    check_text("status", text)
    for status in STATUSES:
        if status.lower() == text.lower():
            return status
    raise JobRefused(f"{text!r} is not a status: {', '.join(STATUSES)}")


def read_sort(text: str) -> Composed:
    """Return the ORDER BY for ``createTime``, ``lastUpdateTime`` or ``id``, descending with ``-`` before it.

    :raises JobRefused: it is none of them.
    """
    check_text("sort", text)
    columns = SORTS.get(text.removeprefix("-"))
    if columns is None:
        raise JobRefused(f"{text!r} is not a sort: {', '.join(SORTS)}, with - before it for descending")
    direction = SQL(" DESC") if text.startswith("-") else SQL("")
    return SQL(", ").join(SQL(column) + direction for column in columns)


def _storable(what: str, given: object) -> str:
    text = check_text(what, given)
    if find_unstorable(text) is not None:
        raise JobRefused(f"the {what} {text[:100]!a} has a NUL, or half a character")
    return text
