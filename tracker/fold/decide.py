"""Decides what happens to each proxied record, by the status that its job has when the batch looks it up."""

from collections import Counter
from collections.abc import Mapping
from operator import itemgetter

from tracker.fold.present_run import has_stale, without_stale
from tracker.fold.state import JobState
from tracker.identifiers import JobName
from tracker.job_status import JobStatus
from tracker.messages.decode import DecodedBatch
from tracker.messages.job_work import JobWork

_ENDED_REASONS = {
    JobStatus.CANCELLED: "cancelled",
    JobStatus.FAILED: "failed",
    JobStatus.COMPLETED: "completed",
}


class Decisions:
    """The records that are not forwarded, and the reports that are ignored, and why."""

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()  # reason -> number of records
        self.first_dropped: dict[str, int] = {}  # reason -> position of the first record
        # Jobs that are stored -> reason, number of records, and position of the last one.
        self.dropped_of: dict[JobName, tuple[str, int, int]] = {}
        self.ignored: Counter[str] = Counter()  # reason -> number of events' reports
        self.first_ignored: dict[str, tuple[JobName, JobWork]] = {}  # reason -> the first job
        self.held: list[tuple[JobState, str, int]] = []  # (job, destination, position), in order
        self.withheld: set[int] = set()  # positions dropped or held


def decide(batch: DecodedBatch, jobs: Mapping[JobName, JobState]) -> Decisions:
    """Drop the records of ended and unknown jobs and of runs that are over; hold those of paused jobs.

    Of a paused job, only records that do not end tracking are held. Sets `batch.destinations` to None for
    records that are dropped or held, and keeps the values of those that are held. Removes the runs that are
    over from `batch.jobs`.
    """
    decisions = Decisions()
    _drop_stale(batch, jobs, decisions)
    for name, work in batch.jobs.items():
        job = jobs.get(name)
        reason = "unknown_job" if job is None else _ENDED_REASONS.get(job.status)
        if reason:
            _drop(batch, decisions, reason, work.proxied_positions(), None if job is None else name)
            event_reports = work.count_event_reports()
            if event_reports and reason != "failed":
                decisions.ignored[reason] += event_reports
                decisions.first_ignored.setdefault(reason, (name, work))
        elif job is not None and job.status is JobStatus.PAUSED and work.open_positions:
            for position in work.open_positions:
                destination = batch.destinations[position]
                if destination is not None:
                    decisions.held.append((job, destination, position))
            _withhold(batch, decisions, work.open_positions)
    decisions.held.sort(key=itemgetter(2))
    return decisions


def decide_redelivered(
    batch: DecodedBatch, jobs: Mapping[JobName, JobState], withheld: set[int]
) -> Decisions:
    """Decide on records that were applied before, and may not have been published.

    Those that were dropped or held then (`withheld`, positions) are not forwarded now either. The others are
    forwarded, even if their jobs have ended since then, perhaps through these very records. Only a cancel or
    a delete that came in between drops them, even if the job was submitted again after that.
    """
    decisions = Decisions()
    _withhold(batch, decisions, sorted(withheld))
    _drop_stale(batch, jobs, decisions)
    for name, work in batch.jobs.items():
        job = jobs.get(name)
        if job is None or job.status is JobStatus.CANCELLED:
            forwarded = [position for position in work.proxied_positions() if position not in withheld]
            _drop(batch, decisions, "unknown_job" if job is None else "cancelled", forwarded, None)
    return decisions


def _drop_stale(batch: DecodedBatch, jobs: Mapping[JobName, JobState], decisions: Decisions) -> None:
    present = {}
    for name, work in batch.jobs.items():
        job = jobs.get(name)
        if has_stale(work, job):
            present[name], stale = without_stale(work, job)
            newly_stale = [position for position in stale if position not in decisions.withheld]
            _drop(batch, decisions, "stale", newly_stale, name)
    if present:
        batch.jobs = batch.jobs | present


def _drop(
    batch: DecodedBatch, decisions: Decisions, reason: str, positions: list[int], name: JobName | None
) -> None:
    """Drop records; `name` is their job, if it is stored."""
    if positions:
        decisions.dropped[reason] += len(positions)
        decisions.first_dropped.setdefault(reason, positions[0])
        if name is not None:
            _, before, _ = decisions.dropped_of.get(name, (reason, 0, 0))
            decisions.dropped_of[name] = reason, before + len(positions), positions[-1]
        _withhold(batch, decisions, positions)


def _withhold(batch: DecodedBatch, decisions: Decisions, positions: list[int]) -> None:
    decisions.withheld.update(positions)
    for position in positions:
        batch.destinations[position] = None
