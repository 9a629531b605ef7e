"""The jobs of the demo: documents that are split into pages, and the expected outcome of each."""

from dataclasses import dataclass

from tracker import JobStatus, NewJob, NewTask
from tracker.demo.names import Names
from tracker.errors import TrackerError

PARTITION_ID = "demo"
FEWEST_PAGES = 100

# The job is cancelled at this percentage. Its pages take long, so that any machine has time for it.
CANCEL_AT_PERCENT = 15.0
SCANNED_PAGES = 10_000
MS_PER_SCANNED_PAGE = 1.5


class DemoError(TrackerError):
    """The demo cannot continue; the text says why."""


@dataclass(frozen=True)
class DemoJob:
    """A document."""

    id: str
    pages: int
    expected: JobStatus = JobStatus.COMPLETED
    after: tuple[str, ...] = ()  # its prerequisites
    delay_s: int = 0
    damaged_page: int | None = None  # makes it fail
    cancelled: bool = False  # by the demo, while it runs
    stuck: bool = False  # it is sent to a topic that no worker reads
    what: str = ""  # this job shows

    def __str__(self) -> str:
        return f"{PARTITION_ID}:{self.id}"

    @property
    def about(self) -> str:
        """What this job shows."""
        return self.what or f"after {' and '.join(self.after)}"

    @property
    def starts(self) -> bool:
        """Whether a worker ever has it; one with a failed prerequisite is not sent."""
        return not self.stuck and (self.expected is not JobStatus.FAILED or self.damaged_page is not None)

    def to_submit(self, names: Names) -> NewJob:
        """Return the job as the client takes it."""
        document: dict[str, object] = {"document": self.id, "pages": self.pages}
        if self.damaged_page is not None:
            document["damaged"] = [self.damaged_page]
        if self.cancelled:
            document["scanned"] = True
        task = NewTask(
            task_classifier="Splitter",
            task_api_version=1,
            task_data=document,
            task_pipe=names.photos if self.stuck else names.documents,
            target_pipe=names.results,
        )
        return NewJob(
            partition_id=PARTITION_ID,
            id=self.id,
            name=self.about,
            task=task,
            prerequisite_job_ids=self.after,
            delay=self.delay_s,
        )


def demo_jobs(pages: int) -> list[DemoJob]:
    """Return the jobs, with about this many pages in total, plus those of a cancelled and of a stuck job."""
    size = max(pages, FEWEST_PAGES) // 10
    failed = JobStatus.FAILED
    return [
        DemoJob("invoices-1", size, what="begins a chain"),
        DemoJob("invoices-2", size, after=("invoices-1",)),
        DemoJob("invoices-3", size, after=("invoices-2",)),
        DemoJob("book", size, what="begins a diamond"),
        DemoJob("book-index", size, after=("book",)),
        DemoJob("book-review", size, after=("book",)),
        DemoJob("book-print", size, after=("book-index", "book-review")),
        DemoJob("newsletter", 2 * size, delay_s=3, what="begins 3 s later"),
        DemoJob("letters", size, expected=failed, damaged_page=size * 2 // 3, what="has a damaged page"),
        DemoJob("letters-index", size, expected=failed, after=("letters",)),
        DemoJob("letters-mail", size, expected=failed, after=("letters-index",)),
        DemoJob(
            "archive",
            SCANNED_PAGES,
            expected=JobStatus.CANCELLED,
            cancelled=True,
            what=f"is cancelled at {CANCEL_AT_PERCENT:.0f} %",
        ),
        DemoJob("photos", size, expected=JobStatus.WAITING, stuck=True, what="is stuck on purpose"),
    ]
