"""Turns a filter and a sort of jobs into SQL: the parts of a statement that depend on the query."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import NamedTuple

from psycopg.sql import SQL, Composable, Composed, Placeholder

from tracker.identifiers import JobName
from tracker.store.queries import query
from tracker.store.steps import Query

SORT_COLUMNS = MappingProxyType(
    {
        "createTime": ("create_time", "job_key"),
        "lastUpdateTime": ("last_update_time", "job_key"),
        "id": ("partition_id", "job_id"),
    }
)
"""For each sort, its column and the one that decides between equal values, so that the order is total."""


class Conditions(NamedTuple):
    """The conditions of a statement, which must all hold, and their parameters."""

    statement: Composed
    parameters: dict[str, object]


def job_conditions(
    *,
    names: Sequence[JobName] | None = None,
    partition_id: str | None = None,
    prefix: str | None = None,
    statuses: Sequence[int] = (),
    labels: Sequence[tuple[str, str | None]] = (),
) -> Conditions:
    """Return the conditions of ``list_jobs`` and ``count_jobs`` for the jobs that match all arguments.

    A job matches if it has one of `names`, one of `statuses`, and all `labels`: pairs of a key and a value,
    or None for any value.
    """
    parts: list[Composable] = []
    parameters: dict[str, object] = {}
    partition_ids = _partition_ids(names, partition_id)
    if partition_ids is not None:
        parts.append(query("matches_partition"))
        parameters["partition_ids"] = partition_ids
    if names is not None:
        parts.append(query("matches_name"))
        parameters["name_partition_ids"] = [name.partition_id for name in names]
        parameters["name_job_ids"] = [name.job_id for name in names]
    if prefix:
        parts.append(query("matches_prefix"))
        parameters["prefix"] = prefix
    if statuses:
        parts.append(query("matches_status"))
        parameters["statuses"] = list(statuses)
    for number, (key, value) in enumerate(labels):
        label_key, label_value = f"label_key_{number}", f"label_value_{number}"
        parameters[label_key] = key
        placeholders = {"label_key": Placeholder(label_key)}
        if value is not None:
            parameters[label_value] = value
            placeholders["label_value"] = Placeholder(label_value)
        parts.append(query("has_label" if value is None else "matches_label").format(**placeholders))
    return Conditions(SQL("\n").join(parts), parameters)


def list_jobs(conditions: Conditions, sort: str, limit: int | None, *, descending: bool) -> Query:
    """Return the statement that lists jobs, sorted by one of `SORT_COLUMNS`; all of them without a limit."""
    direction = SQL(" DESC") if descending else SQL("")
    order = SQL(", ").join(SQL(column) + direction for column in SORT_COLUMNS[sort])
    statement = query("list_jobs").format(conditions=conditions.statement, order=order)
    return Query(statement, conditions.parameters | {"limit": limit})


def count_jobs(conditions: Conditions) -> Query:
    """Return the statement that counts jobs."""
    return Query(query("count_jobs").format(conditions=conditions.statement), conditions.parameters)


def _partition_ids(names: Sequence[JobName] | None, partition_id: str | None) -> list[str] | None:
    """Return the partition IDs to search, or None for all: the statement searches tenant after tenant."""
    if names is None:
        return None if partition_id is None else [partition_id]
    return sorted({name.partition_id for name in names if partition_id in (None, name.partition_id)})
