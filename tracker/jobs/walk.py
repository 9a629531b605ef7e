"""Goes through all jobs that match a filter, in steps, in an order that no change of them alters.

Each step is a query, and may be in a transaction of its own: it begins after the last job of the one before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from tracker.identifiers import JobName
from tracker.job_filter import Comparison, HasTime, JobFilter, TimeField
from tracker.jobs.cursor import EPOCH
from tracker.store import conditions
from tracker.store.steps import Row, Verb, ask


class FoundJob(NamedTuple):
    """A job that matched when it was found."""

    key: tuple[int, int]  # tenant_key, job_key
    name: JobName


def until_now(wanted: JobFilter) -> Verb[JobFilter]:
    """Return the filter without jobs that are submitted from now on, so that there is an end."""
    [(seconds,)] = yield from ask("read_clock")
    return wanted & HasTime(TimeField.CREATE_TIME, (int(seconds * 1000),), Comparison.LESS_EQUAL)


def begin_walk(wanted: JobFilter) -> "Verb[JobWalk]":
    """Return how to go through all jobs that match."""
    if conditions.find_open_jobs(wanted, 1, None) is not None:
        return ByAge(wanted)
    tenants = yield conditions.find_matching_tenants(wanted)
    return ByKey(wanted, tuple(tenant_key for (tenant_key,) in tenants))


def find_some(wanted: JobFilter, limit: int) -> Verb[list[FoundJob]]:
    """Return any jobs that match. A step of a walk looks at each job for itself; this takes any index."""
    return _shape((yield conditions.find_some_jobs(wanted, limit)))


@dataclass(frozen=True)
class ByAge:
    """Through jobs that have not completed, the oldest first, by their index.

    It also leads through those of one status.
    """

    wanted: JobFilter
    after: tuple[datetime, int] | None = None

    def find(self, limit: int) -> "Verb[tuple[list[FoundJob], ByAge | None]]":
        """Return the next jobs, and what comes after them; None: nothing does."""
        step = conditions.find_open_jobs(self.wanted, limit, self.after)
        assert step is not None  # it was not when the walk began
        rows = yield step
        if len(rows) < limit:
            return _shape(rows), None
        _, job_key, *_, time_us = rows[-1]
        return _shape(rows), replace(self, after=(EPOCH + timedelta(microseconds=time_us), job_key))


@dataclass(frozen=True)
class ByKey:
    """Through all jobs of one tenant after the other, by their keys."""

    wanted: JobFilter
    tenant_keys: tuple[int, ...]
    after: int = 0  # the last job_key that was found of the first tenant

    def find(self, limit: int) -> "Verb[tuple[list[FoundJob], ByKey | None]]":
        """Return the next jobs, and what comes after them; None: nothing does."""
        found: list[Row] = []
        after = self.after
        for place, tenant_key in enumerate(self.tenant_keys):
            missing = limit - len(found)
            rows = yield conditions.find_jobs_of_tenant(self.wanted, tenant_key, missing, after)
            found += rows
            if len(rows) == missing:
                rest = replace(self, tenant_keys=self.tenant_keys[place:], after=rows[-1][1])
                return _shape(found), rest
            after = 0
        return _shape(found), None


JobWalk = ByAge | ByKey


def _shape(rows: Sequence[Row]) -> list[FoundJob]:
    return [
        FoundJob((tenant_key, job_key), JobName(partition_id, job_id))
        for tenant_key, job_key, partition_id, job_id, *_ in rows
    ]
