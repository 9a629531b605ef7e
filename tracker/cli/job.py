"""`tracker job`: submit, show and wait for jobs; `change_jobs` has the commands that change them."""

import sys
from collections.abc import Iterable
from contextlib import closing, nullcontext
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tracker.cli.database import JobName, JobNames, Timeout, open_client
from tracker.cli.filter_options import (
    After,
    FilterOptions,
    Label,
    Limit,
    Paged,
    Partition,
    Prefix,
    Rsql,
    SortBy,
    Status,
    Transitive,
    WaitingFor,
    read_page,
    read_sort,
)
from tracker.cli.output import (
    Json,
    counted,
    print_fields,
    print_json,
    print_rows,
    time_text,
)
from tracker.cli.progress_bar import working

if TYPE_CHECKING:
    from tracker import Job, JobDetails, PrerequisiteState, RootFailure, SubmittedJob, TaskFailure

_MAX_WARNINGS = 10

app = typer.Typer(help="Submit, show, wait for and change jobs.", no_args_is_help=True)


MISSING_SHOWN = 1_000
ROWS_AT_ONCE = 1_000  # longer lists are printed as they arrive


@app.command()
def submit(
    file: Annotated[
        str, typer.Argument(metavar="[FILE]", help="One JSON object, or one a line; - is stdin.")
    ] = "-",
    wait: Annotated[bool, typer.Option("--wait", help="Wait until all have ended.")] = False,
    timeout: Timeout = None,
    json: Json = False,
) -> int:
    """Store jobs, all or none. Jobs that are stored already with the same content stay as they are."""
    from tracker.cli.jobs_file import read_jobs

    if timeout is not None and not wait:
        raise typer.BadParameter("--timeout is for --wait")
    with working("Reading jobs ...") if file != "-" else nullcontext():  # somebody may be typing
        jobs, describe = read_jobs(file)
    with open_client() as client:
        with working(f"Storing {counted(len(jobs), 'job')} ..."):
            submitted = client.submit(jobs, describe=describe)
        if wait or not json:
            _print_warnings(submitted)
        if not wait:
            _print_submitted(submitted, json=json)
            return 0
        return _print_ended(client.wait(submitted, timeout), json=json)


@app.command()
def show(job: JobName, json: Json = False) -> None:
    """Show a job."""
    with open_client() as client:
        found = client.describe(job)
    if json:
        print_json([found])
    else:
        print_fields(_fields(found))


@app.command("list")
def list_jobs(  # noqa: PLR0913, PLR0917 - an option is a parameter
    partition: Partition = None,
    prefix: Prefix = None,
    status: Status = None,
    label: Label = None,
    rsql: Rsql = None,
    waiting_for: WaitingFor = None,
    transitive: Transitive = False,
    limit: Limit = 100,
    sort: SortBy = "-createTime",
    after: After = None,
    paged: Paged = False,
    json: Json = False,
) -> None:
    """List jobs, the newest first."""
    from tracker.jobs.query import iterate_jobs, list_page

    options = FilterOptions(partition, prefix, status, label, rsql, waiting_for, transitive)
    wanted, order = options.read(), read_sort(sort)
    page = read_page(limit, order, after)
    with open_client() as client:
        if not paged and (limit == 0 or limit > ROWS_AT_ONCE):
            _print_jobs(client.stream(iterate_jobs(wanted, order, page)), json=json)
            return
        found = client.run(list_page(wanted, order, page))
        _print_jobs(found.jobs, json=json)
        if paged:
            print_json([{"next": found.next}])


@app.command()
def count(  # noqa: PLR0913, PLR0917 - an option is a parameter
    partition: Partition = None,
    prefix: Prefix = None,
    status: Status = None,
    label: Label = None,
    rsql: Rsql = None,
    waiting_for: WaitingFor = None,
    transitive: Transitive = False,
    exact: Annotated[
        bool, typer.Option("--exact", help='Count, where the number would be an "estimate" otherwise.')
    ] = False,
    json: Json = False,
) -> None:
    """Count jobs. The number of all or all completed jobs is an estimate if there are very many."""
    from tracker.jobs.job import JobCount
    from tracker.jobs.query import count_jobs, count_or_estimate

    wanted = FilterOptions(partition, prefix, status, label, rsql, waiting_for, transitive).read()
    with open_client() as client:
        if exact:
            found = JobCount(count=client.run(count_jobs(wanted)))
        else:
            found = client.run(count_or_estimate(wanted))
    print_json([found])


@app.command()
def wait(jobs: JobNames, timeout: Timeout = None, json: Json = False) -> int:
    """Wait until jobs have ended. The exit status is 0 if all have completed, 3 if the time is up."""
    with open_client() as client:
        return _print_ended(client.wait(jobs, timeout), json=json)


@app.command()
def failures(job: JobName, json: Json = False) -> None:
    """List the failed tasks of a job, and why they failed."""
    with open_client() as client:
        found = client.failures(job)
        if json:
            print_json(found)
        else:
            print_rows(("TASK", "FAILURE", "TIME", "SOURCE", "MESSAGE"), map(_failure_row, found))


@app.command()
def missing(
    job: JobName,
    under: Annotated[
        str | None, typer.Option(metavar="TASK", help="Only this task (a jobTaskId) and those below it.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", help="How many rows at most; 0: all. On a terminal 1000 by default."
        ),
    ] = None,
    count: Annotated[bool, typer.Option("--count", help="Only how many tasks are in each state.")] = False,
    json: Json = False,
) -> None:
    """List the tasks of a job that have not completed, as ranges. A completed job has none."""
    from tracker.errors import TrackerError
    from tracker.jobs.missing import count_by_state, find_missing

    if count and limit is not None:
        raise typer.BadParameter("--count counts all tasks: it takes no --limit")
    try:
        verb = find_missing(job, under=under)
    except TrackerError as error:
        raise typer.BadParameter(str(error)) from None
    if limit is None and not json and sys.stdout.isatty():
        limit = MISSING_SHOWN
    with open_client() as client, closing(client.stream(verb)) as ranges:
        if count:
            counts = count_by_state(ranges)
            if json:
                print_json(counts)
            else:
                print_rows(("STATE", "TASKS"), ((each.state, each.count) for each in counts))
            return
        shown = islice(ranges, limit or None)
        if json:
            print_json(shown)
        else:
            columns = ("PARENT", "FIRST", "LAST", "COUNT", "STATE")
            print_rows(
                columns, ((each.parent, each.first, each.last, each.count, each.state) for each in shown)
            )
        if not json and limit and next(ranges, None) is not None:
            print(f"There are more than {counted(limit, 'row')}; --limit 0 lists all.", file=sys.stderr)


def _print_jobs(jobs: "Iterable[Job]", *, json: bool) -> None:
    if json:
        print_json(jobs)
    else:
        print_rows(("JOB", "STATUS", "%", "NAME", "CREATED"), map(_row, jobs))


def _print_submitted(jobs: "list[SubmittedJob]", *, json: bool) -> None:
    if json:
        print_json(jobs)
        return
    created = sum(job.created for job in jobs)
    there = len(jobs) - created
    print(f"Stored {counted(created, 'job')}{f'; {there:,} stored already' if there else ''}.")


def _print_warnings(jobs: "list[SubmittedJob]") -> None:
    """Say on stderr which jobs may never run: the first few, if there are many."""
    texts = [f"{job} {text}" for job in jobs for text in job.warnings]
    for text in texts[:_MAX_WARNINGS]:
        print(f"Warning: {text}.", file=sys.stderr)
    if len(texts) > _MAX_WARNINGS:
        print(f"Warning: and {len(texts) - _MAX_WARNINGS:,} more; --json shows all.", file=sys.stderr)


def _print_ended(jobs: "list[Job]", *, json: bool) -> int:
    """Print jobs that have ended; return the exit status."""
    from tracker import JobStatus

    if json:
        print_json(jobs)
    else:
        print_rows(("JOB", "STATUS", "%"), ((job, job.status, _percentage(job)) for job in jobs))
    return 0 if all(job.status is JobStatus.COMPLETED for job in jobs) else 1


def _row(job: "Job") -> tuple[object, ...]:
    return job, job.status, _percentage(job), job.name, time_text(job.create_time_ms)


def _fields(job: "JobDetails") -> Iterable[tuple[str, object]]:
    yield "job", job
    yield "status", job.status
    yield "percentage", _percentage(job)
    yield "attempt", job.attempt
    yield from _times(job)
    for name, value in (
        ("name", job.name),
        ("description", job.description),
        ("external data", job.external_data),
    ):
        if value:
            yield name, value
    for key, value in sorted(job.labels.items()):
        yield "label", f"{key}={value}"
    for prerequisite in job.prerequisites:
        yield "waits for", f"{job.partition_id}:{prerequisite.id} ({_state(prerequisite)})"
    if (left := job.prerequisite_count - len(job.prerequisites)) > 0:
        yield "waits for", f"{counted(left, 'job')} more"
    yield from _messages(job)
    for failure in job.failures:
        yield "failure", "  ".join(str(cell) for cell in _failure_row(failure) if cell)


def _times(job: "JobDetails") -> Iterable[tuple[str, object]]:
    yield "created", time_text(job.create_time_ms)
    if job.sent_time_ms is not None:
        yield "sent", time_text(job.sent_time_ms)
    yield "updated", time_text(job.last_update_time_ms)
    if job.delay_until_ms is not None:
        yield "delayed until", time_text(job.delay_until_ms)
    if job.suspended:
        yield "partition ID", f"{job.partition_id} is suspended"


def _state(prerequisite: "PrerequisiteState") -> str:
    if prerequisite.status is None:
        return "not stored"
    return f"{prerequisite.status}, {prerequisite.percentage_complete:.2f} %"


def _messages(job: "JobDetails") -> Iterable[tuple[str, object]]:
    """Yield how many messages did not take their way."""
    for what, count in (("held", job.held_messages), ("dropped", job.dropped_messages)):
        if count:
            yield f"{what} messages", f"{count:,}"
    if job.dead_letters:
        yield "dead letters", f"{job.dead_letters:,}"


def _percentage(job: "Job") -> str:
    return f"{'~' if job.estimate else ''}{job.percentage_complete:.2f}"


def _failure_row(failure: "TaskFailure | RootFailure") -> tuple[Any, ...]:
    from tracker import RootFailure

    if isinstance(failure, RootFailure):
        return failure.root_failure, "failed before it", "", "", ""
    return (
        failure.job_task_id,
        failure.failure_id,
        time_text(failure.failure_time_ms),
        failure.failure_source,
        failure.failure_message,
    )
