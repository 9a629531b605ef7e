"""Which of a job's messages are of its present run, and which of one that is over."""

from operator import itemgetter

from tracker.fold.state import JobState
from tracker.messages.job_work import JobWork
from tracker.messages.run_marker import NO_MARKER


def has_stale(work: JobWork, job: JobState | None) -> bool:
    """Return whether a job may have messages of a run that is not its present one, or of several runs."""
    return bool(work.other_runs or (work.run and job is not None and work.run != job.job_key))


def without_stale(work: JobWork, job: JobState | None) -> tuple[JobWork, list[int]]:
    """Return what counts for the job, and the positions of the messages of other runs.

    Of a job that is not known no message is stale: all are dropped for that.
    """
    counts = JobWork()
    counts.event_reports, counts.event_siblings = work.event_reports, work.event_siblings
    stale: list[int] = []
    for run in work.runs():
        if job is not None and run.run not in (None, NO_MARKER, job.job_key):
            stale += run.proxied_positions()
            continue
        counts.siblings += run.siblings
        counts.reports += run.reports
        counts.job_completed_positions += run.job_completed_positions
        counts.open_positions += run.open_positions
        counts.ending_positions += run.ending_positions
    counts.reports.sort(key=itemgetter(0))
    counts.job_completed_positions.sort()
    return counts, stale
