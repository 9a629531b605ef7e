"""What a batch has for each job, before anybody knows the jobs' statuses."""

from tracker.identifiers import JobName, Step, TaskName
from tracker.messages.event import Failed, Report
from tracker.messages.run_marker import NO_MARKER


class Siblings:
    """What the batch's proxied messages of one run say of the children of one task.

    The texts behind the last ``.`` of the `jobTaskId`s are kept as they came until `finish`.
    """

    __slots__ = (
        "completed", "completed_positions", "completed_texts", "job", "last", "open_positions", "open_texts",
        "path", "run", "status_check_url", "steps",
    )  # fmt: skip

    def __init__(self, parent: TaskName, status_check_url: str | None = None, run: int = NO_MARKER) -> None:
        self.job: JobName = parent.job
        self.run = run
        self.status_check_url = status_check_url  # of the message that came last
        self.path: str = parent.path  # of the parent
        self.steps: tuple[Step, ...] = parent.steps
        self.completed_texts: list[str] = []
        self.completed_positions: list[int] = []
        self.open_texts: list[str] = []  # still in progress: nothing is written
        self.open_positions: list[int] = []
        self.completed: list[int] = []  # indexes, with repetitions, as in completed_positions
        self.last = 0  # highest index marked as last among the completed


class JobWork:
    """What a batch has for one job: what events report, and the proxied messages of one run.

    `run` is what `job_key_in` makes of their `statusCheckUrl`, None while there are none. Those of other runs
    are in `other_runs`; until the job has been looked up, nobody knows which run is the present one.
    """

    __slots__ = (
        "ending_positions",
        "event_reports",
        "event_siblings",
        "job_completed_positions",
        "open_positions",
        "other_runs",
        "reports",
        "run",
        "siblings",
    )

    def __init__(self, run: int | None = None) -> None:
        self.run = run
        self.other_runs: dict[int, JobWork] | None = None
        self.siblings: list[Siblings] = []
        self.job_completed_positions: list[
            int
        ] = []  # the job itself is reported complete; forwarded like the ending ones
        self.reports: list[tuple[int, Report]] = []  # of proxied messages, with their positions: failures
        self.event_reports: list[tuple[int, Report]] = []
        self.event_siblings: list[Siblings] = []  # of events that report nothing but completed children
        # Proxied records that are forwarded only if the job's status allows it:
        self.open_positions: list[int] = []  # tracking goes on: held while the job is paused
        self.ending_positions: list[int] = []  # tracking ends

    @property
    def reports_anything(self) -> bool:
        """Whether there is anything to fold."""
        return bool(
            self.reports
            or self.event_reports
            or self.event_siblings
            or self.job_completed_positions
            or any(siblings.completed for siblings in self.siblings)
        )

    @property
    def may_fail(self) -> bool:
        """Whether anything reports a failure, of any run."""
        reports = [report for work in self.runs() for _, report in work.reports]
        reports += [report for _, report in self.event_reports]
        return any(isinstance(report, Failed) for report in reports)

    def runs(self) -> "list[JobWork]":
        """Return what there is of each run."""
        return [self, *self.other_runs.values()] if self.other_runs else [self]

    def work_of_run(self, run: int) -> "JobWork":
        """Return what there is of a run, from now on something."""
        if self.run is None:
            self.run = run
            return self
        if self.other_runs is None:
            self.other_runs = {}
        return self.other_runs.setdefault(run, JobWork(run))

    def proxied_positions(self) -> list[int]:
        """Return the positions of the proxied messages, in no order."""
        return self.open_positions + self.ending_positions + self.job_completed_positions

    def count_event_reports(self) -> int:
        """Return how many reports events have brought."""
        return len(self.event_reports) + sum(len(siblings.completed) for siblings in self.event_siblings)
