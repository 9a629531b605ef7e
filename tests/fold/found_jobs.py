"""What a batch's lookup of jobs finds."""

from tests.fold.trackers import JOB
from tracker.fold.state import JobState
from tracker.identifiers import JobName
from tracker.job_status import JobStatus


def found_jobs(status: JobStatus | None) -> dict[JobName, JobState]:
    """Return what a lookup of `acme:job` finds; None: the job is unknown."""
    return {} if status is None else {JOB: JobState(JOB, 1, 1, status, 0)}
