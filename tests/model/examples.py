"""Example jobs in the model, and records that report on them."""

from typing import Any

from hypothesis import strategies as st

from tests.support.messages import failure, record_of, report, task_message, tracking_report
from tests.support.model.naive import NaiveTracker
from tests.support.model.outcomes import Outcome

JOB = ("acme", "job")

Graph = dict[int, set[int]]
"""The prerequisites of each job, all of lower numbers. Every job but 0 has some."""


def send_event(tracker: NaiveTracker, *reports: dict[str, Any]) -> Outcome:
    """Process an event of reports."""
    return tracker.process(record_of(tracking_report(*reports)))


def complete(tracker: NaiveTracker, *tasks: str) -> Outcome:
    """Process an event that reports that tasks have completed."""
    return send_event(tracker, *(report(task, "Complete") for task in tasks))


def fail(tracker: NaiveTracker, task: str, message: str = "it broke") -> Outcome:
    """Process an event that reports that a task has failed."""
    return send_event(tracker, report(task, "Failed", failure=failure(message)))


def progress(tracker: NaiveTracker, task: str, percentage: float) -> Outcome:
    """Process an event that reports the progress of a task."""
    return send_event(tracker, report(task, "Progress", percentage))


def send_message(tracker: NaiveTracker, task: str | None = "acme:job.1", **fields: Any) -> Outcome:
    """Process a proxied message. By default, it completes the task."""
    headers = fields.pop("headers", ())
    return tracker.process(record_of(task_message(task, **fields), headers=headers))


def released(outcome: Outcome) -> list[str]:
    """Return the IDs of the jobs that were sent."""
    return [release.job_id for release in outcome.released]


def state(tracker: NaiveTracker, *job: str) -> tuple[Any, ...]:
    """Return the status, percentage, failures and missing children of a job."""
    key = job or JOB
    return (
        tracker.status(*key),
        tracker.percentage_millionths(*key),
        tracker.failures(*key),
        tracker.missing(*key),
    )


def four_jobs(*, propagate_failures: bool) -> NaiveTracker:
    """Return a tracker with T1, its dependents T2 and T3, and T4, which depends on T3."""
    tracker = NaiveTracker(propagate_failures)
    tracker.create_job("acme", "T1")
    tracker.create_job("acme", "T2", prerequisites=["T1"])
    tracker.create_job("acme", "T3", prerequisites=["T1"])
    tracker.create_job("acme", "T4", prerequisites=["T3"])
    return tracker


def statuses(tracker: NaiveTracker) -> list[str | None]:
    """Return the statuses of T1 to T4."""
    return [tracker.status("acme", f"T{number}") for number in (1, 2, 3, 4)]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Draw a graph of up to 8 jobs."""
    graph: Graph = {0: set()}
    for number in range(1, draw(st.integers(1, 8))):
        graph[number] = draw(st.sets(st.integers(0, number - 1), min_size=1))
    return graph


def tracker_with(graph: Graph, *, propagate_failures: bool = False) -> NaiveTracker:
    """Return a tracker with the jobs of a graph; their IDs are their numbers."""
    tracker = NaiveTracker(propagate_failures)
    for number, prerequisites in graph.items():
        tracker.create_job("acme", str(number), prerequisites=map(str, prerequisites))
    return tracker
