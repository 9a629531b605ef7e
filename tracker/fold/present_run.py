"""Separates the messages of a job's present run from those of runs that are over."""

from operator import itemgetter

from tracker.fold.state import JobState
from tracker.messages.job_work import JobWork
from tracker.messages.run_marker import NO_MARKER


def has_stale(work: JobWork, job: JobState | None) -> bool:
    """Return whether a job may have messages of a run that is not its present one, or of several runs."""
    return bool(work.other_runs or (work.run and job is not None and work.run != job.job_key))


def without_stale(work: JobWork, job: JobState | None) -> tuple[JobWork, list[int]]:
    """Return what counts for the job, and the positions of the messages of other runs.

    No message of an unknown job is stale: all of them are dropped because the job is unknown.
    """
    present = JobWork()
    present.event_reports, present.event_siblings = work.event_reports, work.event_siblings
    stale: list[int] = []
    for run_work in work.runs():
        if job is not None and run_work.run not in (None, NO_MARKER, job.job_key):
            stale += run_work.proxied_positions()
            continue
        present.siblings += run_work.siblings
        present.reports += run_work.reports
        present.job_completed_positions += run_work.job_completed_positions
        present.open_positions += run_work.open_positions
        present.ending_positions += run_work.ending_positions
    present.reports.sort(key=itemgetter(0))
    present.job_completed_positions.sort()
    return present, stale
