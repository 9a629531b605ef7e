"""Why a job stands where it stands, as far as the database says it."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from tracker.diagnosis.by_hand import find_what_was_done_by_hand
from tracker.diagnosis.own_reasons import own_reasons
from tracker.diagnosis.reason import Reason, Why
from tracker.diagnosis.standing import Standing, read_now, read_standings
from tracker.diagnosis.trees import read_tree
from tracker.diagnosis.waiting import find_waiting_reasons, with_prerequisites
from tracker.diagnosis.wording import in_ms
from tracker.identifiers import JobName
from tracker.jobs.job import JobReference
from tracker.jobs.query import find_job, round_percentage
from tracker.jobs.validation import read_job_name
from tracker.store import locks
from tracker.store.steps import Prepared, Verb, ask


@dataclass(frozen=True)
class Diagnosis:
    """What the database says, and what Kafka is asked about."""

    why: Why
    job: Standing


def why(job: JobReference) -> Prepared[Why]:
    """Return why a job stands where it stands, the most telling reason first. Kafka is not asked.

    :raises JobNotFound: no job has this name.
    """
    return Prepared(partial(_why, read_job_name(job)))


def diagnose(job: JobReference) -> Prepared[Diagnosis]:
    """Return the same, with what is stored of the job.

    :raises JobNotFound: no job has this name.
    """
    return Prepared(partial(_diagnose, read_job_name(job)))


def _why(name: JobName) -> Verb[Why]:
    diagnosis = yield from _diagnose(name)
    return diagnosis.why


def _diagnose(name: JobName) -> Verb[Diagnosis]:
    yield from ask("begin_snapshot")
    tenant_key, job_key, *_ = yield from find_job(name)
    [job] = yield from read_standings([(tenant_key, job_key)])
    [(is_active,)] = yield from ask("is_scheduler_active", **{"class": locks.SCHEDULER})
    now = yield from read_now()
    tree = yield from read_tree(job)
    reasons = list(own_reasons(job, tree, now, scheduler_is_active=is_active))
    if job.is_waiting:
        waiting = yield from find_waiting_reasons(job, now, scheduler_is_active=is_active)
        reasons = with_prerequisites(reasons, waiting)
    reasons += yield from find_what_was_done_by_hand(job)
    return Diagnosis(answer(job, reasons, now), job)


def answer(job: Standing, reasons: list[Reason], now: datetime) -> Why:
    """Return these reasons as the answer for a job."""
    return Why(
        partition_id=job.name.partition_id,
        id=job.name.job_id,
        status=job.status,
        percentage_complete=round_percentage(job.percentage),
        reasons=reasons,
        as_of=in_ms(now) or 0,
        partial=False,
    )
