"""`tracker job why`: of one job all reasons, of many the first reason of each, or how many have which."""

import sys
from collections.abc import Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.database import SomeJobName, open_client
from tracker.cli.filter_options import (
    FilterOptions,
    Label,
    Partition,
    Prefix,
    Rsql,
    Status,
    Transitive,
    WaitingFor,
)
from tracker.cli.output import Json, counted, in_one_line, print_json, print_rows

if TYPE_CHECKING:
    from tracker import ReasonCount, Why, WhySummary
    from tracker.job_filter import JobFilter

REASONS_SHOWN = 20  # of a summary

AllMatching = Annotated[
    bool, typer.Option("--all-matching", help="All jobs that the options select: the first reason of each.")
]
Summary = Annotated[
    bool,
    typer.Option("--summary", help="With --all-matching: how many have which; of 10,000 jobs at most."),
]


def why(  # noqa: PLR0913, PLR0917 - an option is a parameter
    job: SomeJobName = None,
    all_matching: AllMatching = False,
    partition: Partition = None,
    prefix: Prefix = None,
    status: Status = None,
    label: Label = None,
    rsql: Rsql = None,
    waiting_for: WaitingFor = None,
    transitive: Transitive = False,
    summary: Summary = False,
    json: Json = False,
) -> None:
    """Say why a job stands where it stands, and what can be done."""
    options = FilterOptions(partition, prefix, status, label, rsql, waiting_for, transitive)
    if (job is None) is not all_matching:
        raise typer.BadParameter("give a JOB, or --all-matching")
    if job is not None and (summary or options.given):
        raise typer.BadParameter("--summary and the options that select jobs are for --all-matching")
    if job is not None:
        _print_why(_ask(job), json=json)
    elif summary:
        _print_summary(_summarize(options.read()), json=json)
    else:
        _print_all(options.read(), json=json)


def _ask(job: str) -> "Why":
    from tracker.diagnosis.kafka_reasons import with_kafka
    from tracker.diagnosis.why import diagnose
    from tracker.settings import load

    with open_client() as client:
        diagnosis = client.run(diagnose(job))
    return with_kafka(diagnosis.why, diagnosis.job, load())


def _print_why(found: "Why", *, json: bool) -> None:
    if json:
        print_json([found])
        return
    for line in found.lines():
        print(in_one_line(line))


def _print_reasons(reasons: "Iterable[ReasonCount]") -> None:
    for reason in reasons:
        print(f"- {in_one_line(reason.text)}")
        if reason.command is not None:
            print(f"    {reason.command}")


def _print_all(wanted: "JobFilter", *, json: bool) -> None:
    """Print the jobs as they are read, however many there are."""
    from tracker.diagnosis.many import why_matching

    with open_client() as client, closing(client.follow(why_matching(wanted))) as found:
        if json:
            print_json(found)
        else:
            print_rows(("JOB", "STATUS", "REASON"), ((job, job.status, job.reasons[0].text) for job in found))


def _summarize(wanted: "JobFilter") -> "WhySummary":
    from tracker.diagnosis.many import summarize_matching

    with open_client() as client:
        return client.run(summarize_matching(wanted))


def _print_summary(found: "WhySummary", *, json: bool) -> None:
    if json:
        print_json(found.reasons)
    else:
        _print_reasons(found.reasons[:REASONS_SHOWN])
        if rest := found.reasons[REASONS_SHOWN:]:
            jobs = counted(sum(reason.count for reason in rest), "job")
            print(f"- {counted(len(rest), 'more reason')}, of {jobs}; --json shows all.")
    if found.has_more:
        print(
            f"There are more: these are the first {counted(found.jobs, 'job')}. Those that have not completed"
            " come first, the oldest first.",
            file=sys.stderr,
        )
