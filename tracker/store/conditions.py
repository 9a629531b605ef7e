"""Turns a filter and a sort of jobs into SQL: the parts of a statement that depend on the query."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

from psycopg.sql import SQL, Composable, Placeholder

from tracker.identifiers import JobName
from tracker.job_status import JobStatus
from tracker.store.queries import query
from tracker.store.steps import Query

_COMPLETED = JobStatus.COMPLETED.number
SORT_COLUMNS = MappingProxyType(
    {
        "createTime": ("create_time", "job_key"),
        "lastUpdateTime": ("last_update_time", "job_key"),
        "id": ("partition_id", "job_id"),
    }
)
"""For each sort, its column and the one that decides between equal values, so that the order is total."""


@dataclass(frozen=True)
class JobConditions:
    """Which jobs: those that match all that is given.

    A job matches if it has one of `names`, one of `statuses`, and all `labels`: pairs of a key and a value,
    or None for any value.
    """

    names: Sequence[JobName] | None = None
    partition_id: str | None = None
    prefix: str | None = None
    statuses: Sequence[int] = ()
    labels: Sequence[tuple[str, str | None]] = ()

    @property
    def is_of_open_jobs(self) -> bool:
        """Whether no completed job can match, so that an index of few jobs has them all."""
        return bool(self.statuses) and _COMPLETED not in self.statuses


def list_jobs(wanted: JobConditions, sort: str, limit: int | None, *, descending: bool) -> Query:
    """Return the statement that lists jobs, sorted by one of `SORT_COLUMNS`; all of them without a limit."""
    direction = SQL(" DESC") if descending else SQL("")
    order = SQL(", ").join(SQL(column) + direction for column in SORT_COLUMNS[sort])
    parts, parameters = _conditions(wanted)
    if wanted.names is None and wanted.is_of_open_jobs:
        search = query("search_each_status")
        parts += [] if wanted.partition_id is None else [query("matches_tenant")]
    else:
        search = query("search_each_tenant")
        parts += [query("matches_status")] if wanted.statuses else []
        parts += _of_tenants(wanted)
    placeholders = {"conditions": SQL("\n").join(parts), "order": order}
    if limit is not None and _has_few_first_tenants(wanted, sort):
        tenants: Composable = query("first_tenants").format(**placeholders)
    else:
        tenants = SQL("tenant")
    found = search.format(tenants=tenants, **placeholders)
    return Query(query("list_jobs").format(search=found, order=order), parameters | {"limit": limit})


def _has_few_first_tenants(wanted: JobConditions, sort: str) -> bool:
    """Return whether an index has the first job of each tenant, and most tenants are not needed further."""
    is_of_all = wanted.names is None and wanted.partition_id is None
    return is_of_all and not wanted.prefix and not wanted.labels and sort != "lastUpdateTime"


def count_jobs(wanted: JobConditions) -> Query:
    """Return the statement that counts jobs."""
    parts, parameters = _conditions(wanted)
    parts += _of_tenants(wanted)
    if wanted.statuses:
        parts.append(query("matches_open_status" if wanted.is_of_open_jobs else "matches_status"))
    return Query(query("count_jobs").format(conditions=SQL("\n").join(parts)), parameters)


def _conditions(wanted: JobConditions) -> tuple[list[Composable], dict[str, object]]:
    """Return the conditions on name, prefix and labels, and the parameters of all."""
    parts: list[Composable] = []
    parameters: dict[str, object] = {"partition_id": wanted.partition_id, "statuses": list(wanted.statuses)}
    if wanted.names is not None:
        parts.append(query("matches_name"))
        parameters["name_partition_ids"] = [name.partition_id for name in wanted.names]
        parameters["name_job_ids"] = [name.job_id for name in wanted.names]
    if wanted.prefix:
        parts.append(query("matches_prefix"))
        parameters["prefix"] = wanted.prefix
    for number, (key, value) in enumerate(wanted.labels):
        label_key, label_value = f"label_key_{number}", f"label_value_{number}"
        parameters[label_key] = key
        placeholders = {"label_key": Placeholder(label_key)}
        if value is not None:
            parameters[label_value] = value
            placeholders["label_value"] = Placeholder(label_value)
        parts.append(query("has_label" if value is None else "matches_label").format(**placeholders))
    partition_ids = _partition_ids(wanted.names, wanted.partition_id)
    if partition_ids is not None:
        parameters["partition_ids"] = partition_ids
    return parts, parameters


def _of_tenants(wanted: JobConditions) -> list[Composable]:
    """Return the condition that the statement is of some tenants only, if it is."""
    of_all = wanted.names is None and wanted.partition_id is None
    return [] if of_all else [query("matches_partition")]


def _partition_ids(names: Sequence[JobName] | None, partition_id: str | None) -> list[str] | None:
    """Return the partition IDs to search, or None for all: the statement searches tenant after tenant."""
    if names is None:
        return None if partition_id is None else [partition_id]
    return sorted({name.partition_id for name in names if partition_id in (None, name.partition_id)})
