"""The keyword arguments by which `Client` and `AsyncClient` find jobs, read into typed values."""

from collections.abc import Iterable
from typing import TypedDict, Unpack

from tracker.job_filter import JobFilter
from tracker.jobs import filter_text, query
from tracker.jobs import matching as matching_verbs
from tracker.jobs.arguments import check_flag, check_limit, check_matching, check_several, check_text
from tracker.jobs.change import Change
from tracker.jobs.cursor import read_cursor
from tracker.jobs.filter import Page, Sort
from tracker.jobs.job import ChangeCount, Job, JobCount, JobPage, JobReference
from tracker.store.steps import Listing, Prepared


class Filters(TypedDict, total=False):
    """Which jobs: those that match all that is given."""

    partition_id: str | None
    prefix: str | None  # of the job ID
    status: str | Iterable[str]  # any of these
    label: str | Iterable[str]  # all of these: ``key`` or ``key=value``
    matching: str | JobFilter | None  # RSQL, or a filter
    waiting_for: JobReference | None  # directly: it is an unmet prerequisite
    transitive: bool  # of `waiting_for`: also those that wait for these, and so on


def iterate_jobs(
    *, limit: int = 0, sort: str = "-createTime", after: str | None = None, **filters: Unpack[Filters]
) -> Prepared[Listing[Job]]:
    """Iterate over the jobs that match all `filters` (see `Filters`), without keeping them all in memory.

    `limit` 0 gives all. `sort` is ``createTime``, ``lastUpdateTime`` or ``id``, descending with ``-`` before
    it. `after` is a cursor that `list_page` has given. A connection is in use until the end is reached or the
    iterator is closed.

    :raises InvalidQuery: a status, sort, limit or cursor that does not exist, or RSQL that is none.
    """
    order = _read_sort(sort)
    return query.iterate_jobs(read_filters(**filters), order, _read_page(limit, order, after))


def list_jobs(
    *, limit: int = 100, sort: str = "-createTime", after: str | None = None, **filters: Unpack[Filters]
) -> Prepared[list[Job]]:
    """Return the jobs that match all `filters` (see `Filters`), the newest first.

    `limit` 0 gives all. `sort` is ``createTime``, ``lastUpdateTime`` or ``id``, descending with ``-`` before
    it. `after` is a cursor that `list_page` has given.

    :raises InvalidQuery: a status, sort, limit or cursor that does not exist, or RSQL that is none.
    """
    order = _read_sort(sort)
    return query.list_jobs(read_filters(**filters), order, _read_page(limit, order, after))


def list_page(
    *, limit: int = 100, sort: str = "-createTime", after: str | None = None, **filters: Unpack[Filters]
) -> Prepared[JobPage]:
    """Return a page of the jobs that match all `filters` (see `Filters`), and the cursor of the next page.

    `after` is the cursor of the page before it, of the same sort; None begins with the first job. Jobs that
    are stored or removed between two pages change no other page; in a list sorted by ``lastUpdateTime``, a
    job that is updated moves, and can come twice or not at all.

    :raises InvalidQuery: a status, sort, limit or cursor that does not exist, or RSQL that is none.
    """
    order = _read_sort(sort)
    return query.list_page(read_filters(**filters), order, _read_page(limit, order, after))


def count_jobs(**filters: Unpack[Filters]) -> Prepared[int]:
    """Return how many jobs match all `filters` (see `Filters`).

    :raises InvalidQuery: a status that does not exist, or RSQL that is none.
    """
    return query.count_jobs(read_filters(**filters))


def count_or_estimate(**filters: Unpack[Filters]) -> Prepared[JobCount]:
    """Return how many jobs match all `filters` (see `Filters`), and whether this is an estimate.

    It is one if all or all completed jobs of all partition IDs match, and there are very many. `count` would
    take seconds for ten million.

    :raises InvalidQuery: a status that does not exist, or RSQL that is none.
    """
    return query.count_or_estimate(read_filters(**filters))


def change_matching(change: Change, matching: str | JobFilter) -> Prepared[ChangeCount]:
    """Change all jobs that match, in steps of a few thousand, each a transaction; skip those that cannot be.

    :raises InvalidQuery: RSQL that is none.
    """
    wanted = read_filters(matching=matching)
    return matching_verbs.change_matching(change, wanted, described=str(matching))


def retry_matching(matching: str | JobFilter) -> Prepared[ChangeCount]:
    """Start all failed jobs again that match, in steps, as `change_matching`.

    :raises InvalidQuery: RSQL that is none.
    """
    return matching_verbs.retry_matching(read_filters(matching=matching), described=str(matching))


def read_filters(
    partition_id: str | None = None,
    prefix: str | None = None,
    status: str | Iterable[str] = (),
    label: str | Iterable[str] = (),
    matching: str | JobFilter | None = None,
    waiting_for: JobReference | None = None,
    transitive: bool = False,
) -> JobFilter:
    """Check `Filters`, and return the filter that they describe.

    :raises InvalidQuery: a status that does not exist, a text that no job can have, RSQL that is none, or
        `transitive` without `waiting_for`.
    :raises BadIdentifier: a malformed partition ID, or name of a job.
    """
    return filter_text.read_filter(
        partition_id,
        None if prefix is None else check_text("prefix", prefix),
        (check_text("status", text) for text in check_several("statuses", status)),
        (check_text("label", text) for text in check_several("labels", label)),
        None if matching is None else check_matching(matching),
        waiting_for,
        transitive=check_flag("transitive", transitive),
    )


def _read_sort(sort: str) -> Sort:
    return filter_text.read_sort(check_text("sort", sort))


def _read_page(limit: int, sort: Sort, after: str | None) -> Page:
    check_limit(limit)
    position = None if after is None else read_cursor(check_text("cursor", after), sort)
    return Page(limit or None, position)
