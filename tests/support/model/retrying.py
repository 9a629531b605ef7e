"""Which jobs a retry starts again in the model (answer 16 of `naive`)."""

from collections.abc import Collection, Iterable

from tests.support.model.jobs import Job


def jobs_to_retry(job: Job, stored: Iterable[Job], *, cascade: bool) -> list[Job]:
    """Return the jobs that a retry of a failed job starts again: none if that job itself cannot be."""
    others = {other.job_id: other for other in stored if other.partition_id == job.partition_id}
    retried = _failed_because_of_same(job, others.values()) if cascade else [job]
    while True:
        names = {each.job_id for each in retried}
        free = [
            each for each in retried if not any(_obstructs(others.get(name), names) for name in each.unmet)
        ]
        if len(free) == len(retried):
            return retried
        retried = free


def _failed_because_of_same(job: Job, others: Iterable[Job]) -> list[Job]:
    """Return the job, and those downstream that have failed by propagation from the same root."""
    failed = [
        other for other in others if other.status == "Failed" and other.failed_root() == job.failed_root()
    ]
    found, before = {job.job_id: job}, 0
    while len(found) > before:
        before = len(found)
        found |= {other.job_id: other for other in failed if other.unmet & found.keys()}
    return list(found.values())


def _obstructs(prerequisite: Job | None, retried: Collection[str]) -> bool:
    """Return whether a job that waits for this one can never run."""
    if prerequisite is None or prerequisite.job_id in retried:
        return False
    return prerequisite.status in {"Failed", "Cancelled"}
