"""What happened, and whether it is what has to happen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tracker import Job, JobStatus, RootFailure
from tracker.demo.jobs import DemoJob
from tracker.demo.results import Results


@dataclass(frozen=True)
class Check:
    """Something that has to be so."""

    right: bool
    text: str


@dataclass(frozen=True)
class Row:
    """What became of one job."""

    id: str
    shows: str
    after: str
    status: JobStatus
    percentage: float
    pages: int
    arrived: int
    ended_after_s: float
    failure: str


def rows(jobs: Sequence[DemoJob], found: Mapping[str, Job], results: Results) -> Iterator[Row]:
    """Yield what became of each job."""
    for job in jobs:
        seen = found[job.id]
        yield Row(
            id=job.id,
            shows=job.shows,
            after=", ".join(job.after),
            status=seen.status,
            percentage=seen.percentage_complete,
            pages=job.pages,
            arrived=results.of(job.id).total(),
            ended_after_s=(seen.last_update_time_ms - seen.create_time_ms) / 1000,
            failure=_failure(seen),
        )


def checks(
    jobs: Sequence[DemoJob], found: Mapping[str, Job], results: Results, troubles: Sequence[str]
) -> Iterator[Check]:
    """Yield each thing that has to be so, and whether it is."""
    yield _check_statuses(jobs, found)
    yield _check_completed([job for job in jobs if job.expected is JobStatus.COMPLETED], results)
    yield from _check_ended_early([job for job in jobs if job.expected is not JobStatus.COMPLETED], results)
    stray = results.dead_letters + results.tracked
    yield Check(
        not stray,
        f"{results.dead_letters:,} dead letters, {results.tracked:,} results that are still tracked."
        if stray
        else "No message was refused.",
    )
    yield Check(not troubles, " ".join(troubles) or "All processes ended in order.")


def _check_statuses(jobs: Sequence[DemoJob], found: Mapping[str, Job]) -> Check:
    wrong = [
        f"{job.id} is {found[job.id].status}, not {job.expected}"
        for job in jobs
        if found[job.id].status is not job.expected
    ]
    return Check(not wrong, f"{'; '.join(wrong)}." if wrong else "Every job ended as it should.")


def _check_completed(jobs: Sequence[DemoJob], results: Results) -> Check:
    wrong = []
    for job in jobs:
        seen = results.of(job.id)
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


def _check_ended_early(jobs: Sequence[DemoJob], results: Results) -> Iterator[Check]:
    for job in jobs:
        seen = results.of(job.id)
        repeated = sum(count > 1 for count in seen.values())
        failures = results.failures[str(job)]
        should_fail = job.damaged_page is not None
        if repeated:
            yield Check(right=False, text=f"{job.id}: {repeated:,} pages came more than once.")
        elif should_fail or failures:
            yield Check(
                failures == should_fail, f"{job.id}: its failed page was reported {_times(failures)}."
            )
        elif job.cancelled:
            yield Check(
                len(seen) < job.pages,
                f"{job.id}: after the cancel, {job.pages - len(seen):,} pages went no further.",
            )
        else:
            yield Check(not seen, f"{job.id}: {len(seen):,} pages of a job that could not run.")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _failure(job: Job) -> str:
    if not job.failures:
        return ""
    failure = job.failures[0]
    if isinstance(failure, RootFailure):
        return f"{failure.root_failure} failed"
    return f"{failure.job_task_id}: {failure.failure_message}"
