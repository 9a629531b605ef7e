"""What a batch has for each job, before the statuses of the jobs are known."""

from tracker.identifiers import JobName, Step, TaskName
from tracker.messages.event import Failed, Report
from tracker.messages.run_marker import NO_MARKER


class Siblings:
    """What the proxied messages of one run say about the children of one task.

    The texts after the last ``.`` of the `jobTaskId`s are parsed when the group is complete.
    """

    __slots__ = (
        "completed", "completed_positions", "completed_texts", "job", "last", "open_positions", "open_texts",
        "path", "run", "status_check_url", "steps",
    )  # fmt: skip

    def __init__(self, parent: TaskName, status_check_url: str | None = None, run: int = NO_MARKER) -> None:
        self.job: JobName = parent.job
        self.run = run
        self.status_check_url = status_check_url  # of the last message
        self.path: str = parent.path  # of the parent
        self.steps: tuple[Step, ...] = parent.steps
        self.completed_texts: list[str] = []
        self.completed_positions: list[int] = []
        self.open_texts: list[str] = []  # of tasks that continue: nothing is written
        self.open_positions: list[int] = []
        self.completed: list[int] = []  # indexes, with repetitions, as in completed_positions
        self.last = 0  # highest index marked as last among the completed


class JobWork:
    """What a batch has for one job: what events report, and the proxied messages of one run.

    `run` is the `job_key_in` of their `statusCheckUrl`; None while there are no messages. Messages of other
    runs are in `other_runs`: until the job is loaded, the batch does not know which run is the present one.
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
        # Messages that report the job itself as completed; they are forwarded like the ending ones.
        self.job_completed_positions: list[int] = []
        self.reports: list[tuple[int, Report]] = []  # failures of proxied messages, with positions
        self.event_reports: list[tuple[int, Report]] = []
        self.event_siblings: list[Siblings] = []  # of events with nothing but completed children
        # Proxied messages, which are forwarded if the job's status allows it:
        self.open_positions: list[int] = []  # tracking continues: held while the job is paused
        self.ending_positions: list[int] = []  # tracking ends

    @property
    def reports_anything(self) -> bool:
        """Whether there is anything to fold."""
        if self.reports or self.event_reports or self.event_siblings or self.job_completed_positions:
            return True
        for siblings in self.siblings:  # noqa: SIM110 - any() takes twice as long for one
            if siblings.completed:
                return True
        return False

    @property
    def may_fail(self) -> bool:
        """Whether anything reports a failure, in any run."""
        reports = [report for work in self.runs() for _, report in work.reports]
        reports += [report for _, report in self.event_reports]
        return any(isinstance(report, Failed) for report in reports)

    def runs(self) -> "list[JobWork]":
        """Return the work of each run."""
        return [self, *self.other_runs.values()] if self.other_runs else [self]

    def work_of_run(self, run: int) -> "JobWork":
        """Return the work of a run; create it if there is none yet."""
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
        """Return the number of reports in events."""
        return len(self.event_reports) + sum(len(siblings.completed) for siblings in self.event_siblings)
