"""Compares the outcome of the demo with what is expected."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tracker import Job, JobStatus, RootFailure
from tracker.demo.jobs import DemoJob
from tracker.demo.results import Arrived


@dataclass(frozen=True)
class Check:
    """A condition that must hold."""

    right: bool
    text: str


@dataclass(frozen=True)
class Row:
    """The outcome of one job."""

    id: str
    about: str
    status: JobStatus
    percentage: float
    pages: int
    arrived: int
    ended_after_s: float | None  # None: it has not
    failure: str


def rows(jobs: Sequence[DemoJob], found: Mapping[str, Job], arrived: Arrived) -> Iterator[Row]:
    """Yield the outcome of each job."""
    for job in jobs:
        seen = found[job.id]
        yield Row(
            id=job.id,
            about=job.about,
            status=seen.status,
            percentage=seen.percentage_complete,
            pages=job.pages,
            arrived=arrived.of(job.id).total(),
            ended_after_s=(seen.last_update_time_ms - seen.create_time_ms) / 1000
            if seen.status.ended
            else None,
            failure=_failure(seen),
        )


def checks(
    jobs: Sequence[DemoJob], found: Mapping[str, Job], arrived: Arrived, troubles: Sequence[str]
) -> Iterator[Check]:
    """Yield each condition that must hold, and whether it does."""
    yield _check_statuses(jobs, found)
    yield _check_completed([job for job in jobs if job.expected is JobStatus.COMPLETED], arrived)
    for job in jobs:
        if job.starts and job.expected is not JobStatus.COMPLETED:
            yield _check_ended_early(job, arrived)
    yield _check_never_started([job for job in jobs if not job.starts and not job.stuck], arrived)
    yield _check_stuck([job for job in jobs if job.stuck], arrived)
    yield _check_strays(arrived)
    yield Check(not troubles, " ".join(troubles) or "All processes ended in order.")


def _check_statuses(jobs: Sequence[DemoJob], found: Mapping[str, Job]) -> Check:
    wrong = [
        f"{job.id} is {found[job.id].status}, not {job.expected}"
        for job in jobs
        if found[job.id].status is not job.expected
    ]
    return Check(not wrong, f"{'; '.join(wrong)}." if wrong else "Every job is as it should be.")


def _check_completed(jobs: Sequence[DemoJob], arrived: Arrived) -> Check:
    wrong = []
    for job in jobs:
        seen = arrived.of(job.id)
        missing = sum(page not in seen for page in range(1, job.pages + 1))
        repeated = sum(count > 1 for count in seen.values())
        if missing or repeated or len(seen) > job.pages:
            wrong.append(f"{job.id}: {missing:,} pages are missing, {repeated:,} came more than once")
    pages = sum(job.pages for job in jobs)
    return Check(
        not wrong,
        f"{'; '.join(wrong)}."
        if wrong
        else f"Each of the {pages:,} pages of the completed jobs arrived, and arrived once.",
    )


def _check_ended_early(job: DemoJob, arrived: Arrived) -> Check:
    seen = arrived.of(job.id)
    stopped = job.pages - len(seen)
    repeated = seen.total() - len(seen)
    right = stopped > 0 and not repeated
    text = f"{job.id}: {len(seen):,} pages arrived, {f'{repeated:,} of them' if repeated else 'none'} twice"
    if job.damaged_page is None:
        return Check(right, f"{text}; {stopped:,} went no further after the cancel.")
    failures = arrived.failures[str(job)]
    times = "once" if failures == 1 else f"{failures:,} times"
    return Check(right and failures == 1, f"{text}; the failure of the damaged one arrived {times}.")


def _check_never_started(jobs: Sequence[DemoJob], arrived: Arrived) -> Check:
    pages = sum(arrived.of(job.id).total() + arrived.failures[str(job)] for job in jobs)
    names = " and ".join(job.id for job in jobs)
    return Check(not pages, f"{names}: {pages:,} pages, because what they waited for has failed.")


def _check_stuck(jobs: Sequence[DemoJob], arrived: Arrived) -> Check:
    pages = sum(arrived.of(job.id).total() for job in jobs)
    names = " and ".join(job.id for job in jobs)
    return Check(
        not pages, f"{names}: {pages:,} pages, because no worker reads the topic that it was sent to."
    )


def _check_strays(arrived: Arrived) -> Check:
    if arrived.dead_letters or arrived.tracked:
        text = f"{arrived.dead_letters:,} dead letters; {arrived.tracked:,} results are still tracked."
        return Check(right=False, text=text)
    return Check(right=True, text="There are no dead letters.")


def _failure(job: Job) -> str:
    if not job.failures:
        return ""
    failure = job.failures[0]
    if isinstance(failure, RootFailure):
        return f"{failure.root_failure} failed"
    return f"{failure.job_task_id}: {failure.failure_message}"
