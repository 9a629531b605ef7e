"""What becomes of each proxied record, by the status that its job had when the batch looked it up."""

from collections import Counter
from collections.abc import Mapping

from tracker.fold.present_run import has_stale, without_stale
from tracker.fold.state import JobState
from tracker.identifiers import JobName
from tracker.job_status import JobStatus
from tracker.messages.decode import DecodedBatch
from tracker.messages.job_work import JobWork

_ENDED = {
    JobStatus.CANCELLED: "cancelled",
    JobStatus.FAILED: "failed",
    JobStatus.COMPLETED: "completed",
}


class Decisions:
    """What is not forwarded, and why."""

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()  # records by reason
        self.first_dropped: dict[str, int] = {}  # reason -> position of one of them
        self.ignored: Counter[str] = Counter()  # reports of events by reason
        self.first_ignored: dict[str, tuple[JobName, JobWork]] = {}  # reason -> where one of them is
        self.held: list[tuple[JobState, str, int]] = []  # (job, destination, position), in order
        self.withheld: set[int] = set()  # positions dropped or held


def decide(batch: DecodedBatch, jobs: Mapping[JobName, JobState]) -> Decisions:
    """Drop the records of jobs that have ended or are not known and of runs that are over; hold paused jobs'.

    `batch.destinations` becomes None for all of them; the values of held ones stay. `batch.jobs` becomes what
    counts, without the runs that are over.
    """
    decisions = Decisions()
    _drop_stale(batch, jobs, decisions)
    for name, work in batch.jobs.items():
        job = jobs.get(name)
        ended = "unknown_job" if job is None else _ENDED.get(job.status)
        if ended:
            _drop(batch, decisions, ended, work.proxied_positions())
            event_reports = work.count_event_reports()
            if event_reports and ended != "failed":
                decisions.ignored[ended] += event_reports
                decisions.first_ignored.setdefault(ended, (name, work))
        elif job is not None and job.status is JobStatus.PAUSED and work.open_positions:
            for position in work.open_positions:
                destination = batch.destinations[position]
                if destination is not None:
                    decisions.held.append((job, destination, position))
            _withhold(batch, decisions, work.open_positions)
    decisions.held.sort(key=lambda held: held[2])
    return decisions


def decide_again(batch: DecodedBatch, jobs: Mapping[JobName, JobState], withheld: set[int]) -> Decisions:
    """Decide on records that were applied before, and may not have been published.

    What was dropped or held then (`withheld`, positions) is so again. The rest was to be forwarded and is,
    though its job may have ended since, by these very records; only a cancel or delete that came in between
    drops it, also where the job was submitted again after that.
    """
    decisions = Decisions()
    _withhold(batch, decisions, sorted(withheld))
    _drop_stale(batch, jobs, decisions)
    for name, work in batch.jobs.items():
        job = jobs.get(name)
        if job is None or job.status is JobStatus.CANCELLED:
            forwarded = [position for position in work.proxied_positions() if position not in withheld]
            _drop(batch, decisions, "unknown_job" if job is None else "cancelled", forwarded)
    return decisions


def _drop_stale(batch: DecodedBatch, jobs: Mapping[JobName, JobState], decisions: Decisions) -> None:
    present = {}
    for name, work in batch.jobs.items():
        job = jobs.get(name)
        if has_stale(work, job):
            present[name], stale = without_stale(work, job)
            _drop(batch, decisions, "stale", [each for each in stale if each not in decisions.withheld])
    if present:
        batch.jobs = batch.jobs | present


def _drop(batch: DecodedBatch, decisions: Decisions, reason: str, positions: list[int]) -> None:
    if positions:
        decisions.dropped[reason] += len(positions)
        decisions.first_dropped.setdefault(reason, positions[0])
        _withhold(batch, decisions, positions)


def _withhold(batch: DecodedBatch, decisions: Decisions, positions: list[int]) -> None:
    decisions.withheld.update(positions)
    for position in positions:
        batch.destinations[position] = None
