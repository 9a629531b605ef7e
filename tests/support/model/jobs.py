"""A job and its tree of tasks in the model. `naive` numbers the answers that they follow."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.model.outcomes import Forward, JobKey
from tests.support.model.reading import HUNDRED, Report

HIGHEST_PARENT = 99_700_000
"""A parent's percentage while a child is missing, at most."""

ENDED = ("Failed", "Cancelled", "Completed")


@dataclass
class Task:
    """A task that has not completed.

    `highest` is the highest index of a child that was seen; `marked`: whether any child was marked last.
    `done` and `open` are the children that were seen.
    """

    highest: int = 0
    marked: bool = False
    done: set[int] = field(default_factory=set)
    open: "dict[int, Task]" = field(default_factory=dict)
    progress: int = 0
    failure: Mapping[str, str | None] | None = None

    def number_of_children(self) -> int | None:
        """Return the number of children; None if no child was marked last."""
        return self.highest if self.marked else None

    def percentage(self) -> int:
        """Compute the percentage, in millionths of a percent."""
        if self.failure is not None:
            return 0
        if self.highest == 0:
            return self.progress
        total = HUNDRED * len(self.done) + sum(child.percentage() for child in self.open.values())
        amount = total // (self.number_of_children() or self.highest + 1)
        return max(self.progress, min(amount, HIGHEST_PARENT))

    def apply(self, path: Sequence[int], marks: Sequence[bool], report: Report) -> bool:
        """Apply a report on the task at the path; return whether it has completed this task."""
        if not path:
            if report.kind == "failed":
                self.failure = report.failure
            elif report.kind == "progress":
                self.progress = max(self.progress, report.progress)
            return report.kind == "complete"
        index = path[0]
        self.highest = max(self.highest, index)
        self.marked = self.marked or marks[0]
        if index not in self.done:
            child = self.open.setdefault(index, Task())
            if child.apply(path[1:], marks[1:], report):
                del self.open[index]
                self.done.add(index)
        return len(self.done) == self.number_of_children()

    def find(self, path: Sequence[int]) -> "Task | None":
        """Return the open task at the path, if any."""
        if not path:
            return self
        child = self.open.get(path[0])
        return None if child is None else child.find(path[1:])

    def walk(self, path: tuple[int, ...] = ()) -> "Iterable[tuple[tuple[int, ...], Task]]":
        """List the open tasks in the order of their paths, this one first."""
        yield path, self
        for index in sorted(self.open):
            yield from self.open[index].walk((*path, index))


@dataclass(eq=False)
class Job:
    """A job. `eligible_at` is None while it waits for others. `marker`: see answer 15."""

    partition_id: str
    job_id: str
    content: Mapping[str, Any]
    unmet: set[str]
    eligible_at: float | None
    status: str = "Waiting"
    root: Task = field(default_factory=Task)
    sent: bool = False
    marker: str = ""
    attempt: int = 1
    correlation_id: str | None = None
    held: list[Forward] = field(default_factory=list)
    propagated_failure: Mapping[str, Any] | None = None

    @property
    def key(self) -> JobKey:
        return self.partition_id, self.job_id

    @property
    def name(self) -> str:
        return f"{self.partition_id}:{self.job_id}"

    def failed_root(self) -> str:
        """Return the name of the job because of which this one has failed: itself, or one upstream."""
        if self.propagated_failure is None:
            return self.name
        return str(self.propagated_failure["root_failure"])

    def failures(self) -> list[dict[str, Any]]:
        """List the details of the tasks that are failed now, in the order of their paths."""
        if self.status == "Completed":
            return []
        if self.propagated_failure is not None:
            return [dict(self.propagated_failure)]
        return [
            {"jobTaskId": ".".join([self.name, *map(str, path)]), **task.failure}
            for path, task in self.root.walk()
            if task.failure is not None
        ]


def gaps(present: set[int], highest: int) -> Iterable[tuple[int, int]]:
    """List the ranges of 1..highest that are not in the set."""
    first = 1
    for number in [*sorted(present), highest + 1]:
        if first < number:
            yield first, number - 1
        first = number + 1
