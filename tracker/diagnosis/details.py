"""All that `tracker job show` shows of a job."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from msgspec import structs

from tracker.diagnosis.direct import Prerequisite, read_prerequisites
from tracker.diagnosis.standing import Standing, read_now, read_standings
from tracker.diagnosis.wording import in_ms
from tracker.identifiers import JobName
from tracker.jobs.job import Job, JobDetails, JobReference, PrerequisiteState
from tracker.jobs.query import find_job, read_one, round_percentage
from tracker.jobs.validation import read_job_name
from tracker.store.steps import Prepared, Verb, ask


def describe(job: JobReference) -> Prepared[JobDetails]:
    """Return all that is stored of a job and its state.

    :raises JobNotFound: no job has this name.
    """
    return Prepared(partial(_describe, read_job_name(job)))


def _describe(name: JobName) -> Verb[JobDetails]:
    yield from ask("begin_snapshot")
    tenant_key, job_key, *_ = yield from find_job(name)
    found = yield from read_one(name)
    [standing] = yield from read_standings([(tenant_key, job_key)])
    prerequisites = yield from read_prerequisites([standing])
    now = yield from read_now()
    return _details(found, standing, prerequisites.get(standing.key, []), now)


def _details(
    job: Job, standing: Standing, prerequisites: Sequence[Prerequisite], now: datetime
) -> JobDetails:
    due = standing.eligible_time if standing.is_delayed else None
    return JobDetails(
        **structs.asdict(job),
        attempt=standing.attempt,
        sent_time_ms=in_ms(standing.sent_time),
        delay_until_ms=in_ms(due) if due is not None and due > now else None,
        suspended=standing.suspended,
        prerequisites=[_state(each) for each in prerequisites],
        prerequisite_count=len(job.prerequisite_job_ids),
        held_messages=standing.held,
        dropped_messages=standing.dropped.count,
        dead_letters=standing.dead_letters.count,
    )


def _state(prerequisite: Prerequisite) -> PrerequisiteState:
    is_stored = prerequisite.status is not None
    return PrerequisiteState(
        id=prerequisite.job_id,
        status=prerequisite.status,
        percentage_complete=round_percentage(prerequisite.percentage) if is_stored else None,
    )
