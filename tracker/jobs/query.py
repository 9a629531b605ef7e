"""The verbs that read. They lock nothing."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TypeVar

import msgspec

from tracker.errors import JobNotFound, WaitTimedOut
from tracker.identifiers import JobName
from tracker.job_filter import EVERY_JOB, HasName, HasStatus, JobFilter
from tracker.job_status import STATUSES, JobStatus
from tracker.jobs.arguments import check_several, check_timeout
from tracker.jobs.cursor import EPOCH, write_cursor
from tracker.jobs.filter import NEWEST_FIRST, WHOLE_LIST, Page, Position, Sort, SortField
from tracker.jobs.job import Job, JobCount, JobPage, JobReference, RootFailure, TaskFailure
from tracker.jobs.validation import read_job_name, some_of
from tracker.store import conditions
from tracker.store.arrays import name_arrays
from tracker.store.queries import query
from tracker.store.steps import Listing, Prepared, Query, Row, Sleep, Verb, ask

Item = TypeVar("Item")
FIRST_POLL_S = 0.02
LAST_POLL_S = 0.5
LOOKED_AT = (10, 100, 400)  # times as many jobs as are listed, before an index is asked
MAX_LOOKED_AT = 40_400
ESTIMATED_FROM = 100_000  # jobs; to count so many takes 20 ms
POLL_SHARE = 4  # after a slow poll, the pause is so many times as long as the poll


def get_job(job: JobReference) -> Prepared[Job]:
    """Return a job.

    :raises JobNotFound: no job has this name.
    """
    return Prepared(partial(read_one, read_job_name(job)))


def read_one(name: JobName) -> Verb[Job]:
    """Return a job.

    :raises JobNotFound: no job has this name.
    """
    (found,) = yield from _get_all([name])
    return found


def iterate_jobs(
    wanted: JobFilter = EVERY_JOB, sort: Sort = NEWEST_FIRST, page: Page = WHOLE_LIST
) -> Prepared[Listing[Job]]:
    """Iterate over the jobs that match, without keeping them all in memory."""
    return Prepared(partial(_begin_listing, _listing_of(wanted, sort, page)))


def _begin_listing(listing: Listing[Item]) -> Verb[Listing[Item]]:
    yield from ask("compile_nothing")
    return listing


def list_jobs(
    wanted: JobFilter = EVERY_JOB, sort: Sort = NEWEST_FIRST, page: Page = WHOLE_LIST
) -> Prepared[list[Job]]:
    """Return the jobs that match."""
    return Prepared(partial(_list_jobs, wanted, sort, page))


def _list_jobs(wanted: JobFilter, sort: Sort, page: Page) -> Verb[list[Job]]:
    return [_shape_job(row) for row in (yield from _find(wanted, sort, page))]


def _find(wanted: JobFilter, sort: Sort, page: Page) -> Verb[list[Row]]:
    """Return the rows of the jobs that match: look at the first jobs of all before an index is asked.

    The first step finds enough where one job in 10 matches, and says which other step may. Without them, a
    label that every job has took 24 s on ten million jobs.
    """
    yield from ask("compile_nothing")
    found = 0
    for share in LOOKED_AT if sort.field is SortField.CREATE_TIME else ():
        if page.limit is None or share * page.limit > MAX_LOOKED_AT:
            break
        if share > LOOKED_AT[0] and found * share < page.limit * LOOKED_AT[0]:
            continue
        first = conditions.list_first_jobs(
            wanted, page.limit, share * page.limit, page.after, descending=sort.descending
        )
        if first is None:
            break
        rows = yield first
        if len(rows) == page.limit:
            return rows
        found = found or len(rows)
    rows = yield _listing_of(wanted, sort, page).query
    return rows


def list_page(
    wanted: JobFilter = EVERY_JOB, sort: Sort = NEWEST_FIRST, page: Page = WHOLE_LIST
) -> Prepared[JobPage]:
    """Return a page of the jobs that match, with the cursor of the next page."""
    return Prepared(partial(_list_page, wanted, sort, page))


def _list_page(wanted: JobFilter, sort: Sort, page: Page) -> Verb[JobPage]:
    # One job more says whether there is another page.
    looked_for = page if page.limit is None else replace(page, limit=page.limit + 1)
    rows = yield from _find(wanted, sort, looked_for)
    shown = rows[: page.limit]
    more = len(rows) > len(shown) > 0
    return JobPage(
        jobs=list(map(_shape_job, shown)),
        next=write_cursor(sort, _position_of(shown[-1], sort)) if more else None,
    )


def _position_of(row: Row, sort: Sort) -> Position:
    partition_id, job_id, *_, time_us, job_key = row
    if sort.field is SortField.ID:
        return partition_id, job_id
    return EPOCH + timedelta(microseconds=time_us), job_key


def count_jobs(wanted: JobFilter = EVERY_JOB) -> Prepared[int]:
    """Return how many jobs match."""
    return Prepared(partial(_count, wanted))


def _count(wanted: JobFilter) -> Verb[int]:
    yield from ask("compile_nothing")
    rows = yield conditions.count_jobs(wanted)
    return int(rows[0][0])


def count_or_estimate(wanted: JobFilter = EVERY_JOB) -> Prepared[JobCount]:
    """Return how many jobs match, estimated where this is a large part of very many, and says so."""
    return Prepared(partial(_count_or_estimate, wanted))


def _count_or_estimate(wanted: JobFilter) -> Verb[JobCount]:
    others = conditions.uncounted(wanted)
    if others is not None:
        ((estimate,),) = yield from ask("estimate_jobs")
        if estimate is not None and estimate >= ESTIMATED_FROM:
            # An index counts the few that are not meant.
            left_out = (yield from _count(HasStatus(others))) if others else 0
            return JobCount(count=max(estimate - left_out, 0), estimate=True)
    return JobCount(count=(yield from _count(wanted)))


def wait_for_jobs(
    jobs: JobReference | Iterable[JobReference],
    timeout: float | None = None,
    *,
    on_change: Callable[[int], None] | None = None,
) -> Prepared[list[Job]]:
    """Wait until all jobs have ended, and return them as they are then: Failed, Cancelled or Completed.

    `timeout` is in seconds. `on_change` is called with the number of jobs that have not ended, each time that
    it changes.

    :raises WaitTimedOut: some have not ended in time.
    :raises JobNotFound: one is not stored, or is deleted while it is waited for.
    """
    check_timeout(timeout)
    deadline = None if timeout is None else time.monotonic() + timeout
    return Prepared(partial(_wait, read_names(jobs), timeout, deadline, on_change))


def _wait(
    names: list[JobName],
    timeout: float | None,
    deadline: float | None,
    on_change: Callable[[int], None] | None,
) -> Verb[list[Job]]:
    still_open = names
    pause_s = FIRST_POLL_S
    while True:
        begin = time.monotonic()
        remaining = yield from _not_ended(still_open)
        if on_change is not None and len(remaining) != len(still_open):
            on_change(len(remaining))
        still_open = remaining
        if not still_open:
            return (yield from _get_all(names))
        now = time.monotonic()
        if deadline is not None and now >= deadline:
            raise WaitTimedOut(
                f"not ended after {timeout:g} s: {some_of([str(name) for name in still_open])}"
            )
        sleep_s = max(pause_s, POLL_SHARE * (now - begin))
        yield Sleep(sleep_s if deadline is None else min(sleep_s, deadline - now))
        pause_s = min(pause_s * 1.5, LAST_POLL_S)


def list_failures(job: JobReference) -> Prepared[Listing[TaskFailure | RootFailure]]:
    """List all failed tasks of a job, in the order of their numbers.

    For a job that failed because of another job, a `RootFailure` comes first.

    :raises JobNotFound: no job has this name.
    """
    return Prepared(partial(_failures, read_job_name(job)))


def _failures(name: JobName) -> Verb[Listing[TaskFailure | RootFailure]]:
    tenant_key, job_key, _, summary = yield from find_job(name)
    return Listing(
        Query(query("list_task_failures"), {"tenant_key": tenant_key, "job_key": job_key}),
        partial(_shape_failure, name),
        [failure for failure in _read_summary(summary) if isinstance(failure, RootFailure)],
    )


def find_job(name: JobName) -> Verb[Row]:
    """Return the keys of a job, its status as a number, and the summary of its failures.

    :raises JobNotFound: no job has this name.
    """
    rows = yield from ask("find_job", partition_id=name.partition_id, job_id=name.job_id)
    if not rows:
        raise not_found([name])
    return rows[0]


def read_names(jobs: JobReference | Iterable[JobReference]) -> list[JobName]:
    """Return the names of one or more jobs, each once.

    :raises BadIdentifier: one is malformed.
    """
    return list(dict.fromkeys(read_job_name(reference) for reference in check_several("jobs", jobs)))


def not_found(names: Sequence[JobName]) -> JobNotFound:
    """Return the error that names jobs that are not stored."""
    return JobNotFound(f"no such job: {some_of([str(name) for name in names])}")


def _get_all(names: Sequence[JobName]) -> Verb[list[Job]]:
    """Return the jobs in the order of their names."""
    jobs = yield from _list_jobs(HasName(tuple(names)), Sort(SortField.ID), WHOLE_LIST)
    found = {JobName(job.partition_id, job.id): job for job in jobs}
    missing = [name for name in names if name not in found]
    if missing:
        raise not_found(missing)
    return [found[name] for name in names]


def _not_ended(names: Sequence[JobName]) -> Verb[list[JobName]]:
    statuses = yield from find_statuses(names)
    return [name for name in names if not statuses[name].ended]


def find_statuses(names: Sequence[JobName]) -> Verb[dict[JobName, JobStatus]]:
    """Return the statuses of jobs.

    :raises JobNotFound: one is not stored.
    """
    rows = yield from ask("find_statuses", **name_arrays(names))
    statuses = {names[position]: STATUSES[status] for position, status in rows}
    missing = [name for name in names if name not in statuses]
    if missing:
        raise not_found(missing)
    return statuses


def _listing_of(wanted: JobFilter, sort: Sort, page: Page) -> Listing[Job]:
    statement = conditions.list_jobs(wanted, sort.field, page.limit, page.after, descending=sort.descending)
    return Listing(statement, _shape_job)


def _shape_job(row: Row) -> Job:
    return Job(
        partition_id=row[0],
        id=row[1],
        name=row[2] or "",
        description=row[3] or "",
        external_data=row[4] or "",
        create_time_ms=row[5],
        last_update_time_ms=row[6],
        status=STATUSES[row[7]],
        percentage_complete=round_percentage(row[8]),
        failures=_read_summary(row[9]),
        labels={key: value or "" for key, value in (row[10] or {}).items()},
        prerequisite_job_ids=row[11],
        estimate=row[12],
    )


def round_percentage(millionths: int) -> float:
    """Return millionths of a percent as percent, with two decimals, halves rounded up."""
    return (millionths + 5_000) // 10_000 / 100


def _read_summary(summary: str | None) -> list[TaskFailure | RootFailure]:
    """Read the failures in the job's own row, one JSON object a line."""
    found: list[TaskFailure | RootFailure] = []
    for line in summary.split("\n") if summary else ():
        if "root_failure" in msgspec.json.decode(line):
            found.append(msgspec.json.decode(line, type=RootFailure))
        else:
            found.append(msgspec.json.decode(line, type=TaskFailure))
    return found


def _shape_failure(name: JobName, row: Row) -> TaskFailure | RootFailure:
    path, failure_id, failure_time_ms, failure_source, failure_message = row
    return TaskFailure(
        job_task_id=f"{name}.{path}" if path else str(name),
        failure_id=failure_id,
        failure_time_ms=failure_time_ms,
        failure_source=failure_source,
        failure_message=failure_message,
    )
