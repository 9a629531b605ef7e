"""Folds one job's reports of a batch into its state.

In three steps, because the caller loads what all the jobs of a batch need at once: `JobFold.needs` names the
tasks and blocks to load; `JobFold.needs_more`, the rows of children that the batch completes; `JobFold.fold`
changes the state, and returns what is to be written.
"""

from collections.abc import Mapping
from operator import itemgetter

from tracker.fold.state import (
    FIRST_CHILDREN,
    Block,
    JobChanges,
    JobNeeds,
    JobState,
    TaskState,
    block_and_bit,
    children_in,
    masks,
)
from tracker.identifiers import JobName, Step, TaskName, child_path, parent_of
from tracker.job_status import JobStatus
from tracker.messages.event import FULL, Complete, Failed, Failure, Progress, Report
from tracker.messages.job_work import JobWork, Siblings

_JOB_ONLY = {""}  # the path of the job itself, which has no parent


def folds_of(work: Mapping[JobName, JobWork], jobs: Mapping[JobName, JobState]) -> list["JobFold"]:
    """Return a fold for each job that may still change and that the batch has reports on."""
    folds = []
    for name, job_work in work.items():
        job = jobs.get(name)
        if job is not None and job.status <= JobStatus.FAILED and job_work.reports_anything:
            folds.append(JobFold(job, job_work))
    return folds


class JobFold:
    """Folds the reports of a batch on one job. The public attributes are the outcome of `fold`."""

    __slots__ = (
        "_changed", "_completed_before", "_completed_outright", "_completing_position", "_failures",
        "_job_completed_positions", "_marked_before", "_masks", "_removed_failures", "_removed_subtrees",
        "_removed_tasks", "_reports", "_siblings", "_uncounted", "contradicting_task", "contradictions",
        "job", "percentage", "status",
    )  # fmt: skip

    def __init__(self, job: JobState, work: JobWork) -> None:
        self.job = job
        self._reports = work.event_reports
        self._siblings: list[Siblings] = work.event_siblings
        self._job_completed_positions: list[int] = []
        if job.status is not JobStatus.FAILED:  # the proxied messages of a failed job are dropped
            self._reports = work.reports + work.event_reports
            self._siblings = work.event_siblings + [each for each in work.siblings if each.completed]
            self._job_completed_positions = work.job_completed_positions
        self._masks: dict[str, dict[int, int]] = {}  # path -> block -> children reported as completed
        for siblings in self._siblings:
            new, known = masks(siblings.completed), self._masks.get(siblings.path)
            if known is None:
                self._masks[siblings.path] = new
            else:
                for number, mask in new.items():
                    known[number] = known.get(number, 0) | mask
        self._changed = False  # whether anything of the job is to be written
        self._uncounted: set[str] = set()  # paths of tasks whose changes their parents do not count yet
        self._removed_tasks: list[str] = []
        self._removed_subtrees: list[str] = []
        self._removed_failures: list[str] = []
        self._failures: dict[str, Failure] = {}
        self._completed_outright = False  # whether the job itself is reported as completed
        self._completing_position: int | None = None
        self._completed_before: dict[tuple[str, int], int] = {}
        self._marked_before: set[str] = set()  # paths of tasks whose last child was known

        self.status = job.status
        self.percentage = job.percentage
        self.contradictions = 0
        self.contradicting_task = ""  # path of one of them

    @property
    def has_failed(self) -> bool:
        """Whether the batch has failed the job, or more tasks of it, even if they are repaired by now."""
        newly = self.job.status is not JobStatus.FAILED
        return self.status is JobStatus.FAILED and (newly or bool(self._failures))

    # What to load

    def needs(self) -> JobNeeds | None:
        """Return the tasks and blocks to load first, if there are any."""
        if self.job.status is JobStatus.WAITING:
            return None  # nothing was ever reported, so nothing is stored
        paths: set[str] = set()
        blocks: set[tuple[str, int]] = set()
        for siblings in self._siblings:
            paths.add(siblings.path)
            _add_steps(siblings.steps, paths, blocks)
        for path, path_masks in self._masks.items():
            for number in path_masks:
                if number:
                    blocks.add((path, number))
        for _, report in self._reports:
            paths.add(report.task.path)
            _add_steps(report.task.steps, paths, blocks)
        if self._job_completed_positions:
            paths.add("")
        return self.job, paths, blocks

    def needs_more(self) -> JobNeeds | None:
        """Return what to load after that: the tasks of completed children that have a row of their own."""
        if not self.job.blocks:
            return None
        paths: list[str] = []
        for path, path_masks in self._masks.items():
            for number, mask in path_masks.items():
                block = self.job.blocks.get((path, number))
                if block is not None and (tracked := mask & block.tracked):
                    paths += [child_path(path, child) for child in children_in(number, tracked)]
        if paths:
            paths = [path for path in paths if path not in self.job.tasks]
        return (self.job, paths, ()) if paths else None

    # The fold

    def fold(self) -> JobChanges | None:
        """Apply the reports, and return what is to be written, if anything.

        Changes the state that is loaded into `job`.
        """
        if self._completes_at_once():
            self.status, self.percentage, self._changed = JobStatus.COMPLETED, FULL, True
            return self._changes()
        if self.job.blocks or self.job.tasks:
            self._completed_before = {key: block.completed for key, block in self.job.blocks.items()}
            self._marked_before = {path for path, task in self.job.tasks.items() if task.last_child}
        has_failure = bool(self._reports) and any(isinstance(report, Failed) for _, report in self._reports)
        if has_failure and self.job.status is not JobStatus.FAILED:
            self._fold_one_by_one()
        else:
            self._fold_at_once()
        return self._changes() if self._changed else None

    def _completes_at_once(self) -> bool:
        """Return whether the batch completes all of a job's own children, and nothing was reported before.

        Many jobs have a task or two. This takes a third of the time of a fold that makes tasks and blocks.
        """
        if self.job.status is not JobStatus.WAITING or self._reports or self._job_completed_positions:
            return False
        if len(self._siblings) != 1:
            return False
        [siblings] = self._siblings
        last = siblings.last
        return not siblings.path and 0 < last <= FIRST_CHILDREN and self._masks[""] == {0: (1 << last) - 1}

    def _changes(self) -> JobChanges:
        job = self.job
        if self.status is JobStatus.COMPLETED:
            return JobChanges(job, self.status, self.percentage)
        tasks = {path for path, task in job.tasks.items() if task.changed}
        blocks = []
        for key, block in job.blocks.items():
            if block.changed:
                path, number = key
                if number:
                    blocks.append((key, block))
                else:
                    tasks.add(path)
        return JobChanges(
            job,
            self.status,
            self.percentage,
            tasks,
            blocks,
            self._removed_tasks,
            self._removed_subtrees,
            self._removed_failures,
            self._failures,
            self.contradictions > 0,
        )

    def _fold_at_once(self) -> None:
        self._record_siblings()
        for path, path_masks in self._masks.items():
            # The task is there unless it, or one above it, has completed.
            if path in self.job.tasks:
                for number, mask in path_masks.items():
                    self._complete(path, number, mask)
        for _, report in self._reports:
            self._apply(report)
        self._completed_outright |= bool(self._job_completed_positions)
        self._update_parents()
        self._update_job()

    def _record_siblings(self) -> None:
        """Record the children that are reported as completed, unless a task above them has completed.

        Nothing completes meanwhile, so the steps that many groups have in common are taken once.
        """
        taken: dict[str, Step] = {}  # path -> the last step to it
        for siblings in self._siblings:
            steps = siblings.steps
            if len(steps) > 1:
                *above, step = steps
                if taken.get(step.parent_path) is above[-1]:
                    steps = (step,)
                elif self._descend(tuple(above)):
                    taken[step.parent_path] = above[-1]
                    steps = (step,)
                else:
                    continue
            if self._descend(steps):
                self._record_child(siblings.path, max(siblings.completed), siblings.last)

    def _fold_one_by_one(self) -> None:
        """Apply the reports in their order, so that the result does not depend on the batching.

        A job becomes Failed when a task fails that has not completed before, and stays Failed when that task
        is repaired. This takes twenty times as long, but only in the batch that fails the job: from then on,
        the job's messages are dropped.
        """
        for position, report in self._in_order():
            self._apply(report)
            self._update_parents()
            self._update_job()
            if self.status is JobStatus.COMPLETED:
                self._completing_position = position
                return

    def _in_order(self) -> list[tuple[int, Report]]:
        root = TaskName(self.job.name, "", ())
        reports: list[tuple[int, Report]] = [
            (position, Complete(root)) for position in self._job_completed_positions
        ]
        for siblings in self._siblings:
            for text, child, position in zip(
                siblings.completed_texts, siblings.completed, siblings.completed_positions, strict=True
            ):
                parent = TaskName(self.job.name, siblings.path, siblings.steps)
                reports.append((position, Complete(parent.child(child, text[-1] == "*"))))
        return sorted(reports + self._reports, key=itemgetter(0))

    def completing_position(self) -> int:
        """Return the position of the record that completed the job.

        It is the last record that reported anything new, or the first that completed the job outright. If
        tasks below complete both outright and by their children, it may be a slightly later record.
        """
        if self._completing_position is not None:
            return self._completing_position
        if not self._reports and not any(siblings.steps for siblings in self._siblings):
            only = self._only_position()
            return self._completing_position_of_children() if only is None else only
        outright = []
        # (path of the parent, child, or 0 for a mark) -> position of the first report
        first_positions: dict[tuple[str, int], int] = {}
        for position, report in self._in_order():
            steps = report.task.steps
            if isinstance(report, Complete) and not steps:
                outright.append(position)
            for step in steps:
                if step.is_last and step.parent_path not in self._marked_before:
                    first_positions.setdefault((step.parent_path, 0), position)
                if self._had_completed(step):
                    break  # nothing is new below
            else:
                if isinstance(report, Complete) and steps:
                    first_positions.setdefault((steps[-1].parent_path, steps[-1].child), position)
        if outright and not (first_positions and self._root_is_complete()):
            return outright[0]
        return min([max(first_positions.values()), *outright])

    def _only_position(self) -> int | None:
        """Return the position of the only report, if there is just one and it is on a child."""
        if self._job_completed_positions or len(self._siblings) != 1:
            return None
        positions = self._siblings[0].completed_positions
        return positions[0] if len(positions) == 1 else None

    def _completing_position_of_children(self) -> int:
        """Return the same if all reports are on the job's own children, or on the job itself.

        Most jobs have no others, and this takes a tenth of the time.
        """
        first_positions: dict[int, int] = {}  # child -> position of the first report
        marks = []
        for siblings in self._siblings:
            # Reversed, so that the first report on a child remains.
            children, positions = reversed(siblings.completed), reversed(siblings.completed_positions)
            for child, position in dict(zip(children, positions, strict=True)).items():
                first_positions[child] = min(first_positions.get(child, position), position)
            if siblings.last and "" not in self._marked_before:
                reports = zip(siblings.completed_texts, siblings.completed_positions, strict=True)
                marks.append(next(position for text, position in reports if text[-1] == "*"))
        before = {number: mask for (path, number), mask in self._completed_before.items() if not path}
        new_positions = [
            position
            for child, position in first_positions.items()
            if not before or not before.get(block_and_bit(child)[0], 0) & block_and_bit(child)[1]
        ]
        if marks:
            new_positions.append(min(marks))
        outright = self._job_completed_positions[:1]
        if outright and not (new_positions and self._root_is_complete()):
            return outright[0]
        return min([max(new_positions), *outright])

    def _had_completed(self, step: Step) -> bool:
        number, bit = block_and_bit(step.child)
        return bool(self._completed_before.get((step.parent_path, number), 0) & bit)

    # Steps of the fold

    def _apply(self, report: Report) -> None:
        task: TaskName = report.task
        if not task.steps:
            self._apply_to(report, "")
            return
        *above, step = task.steps
        if not self._descend(tuple(above)):
            return
        self._record_child(step.parent_path, step.child, step.child if step.is_last else 0)
        number, bit = block_and_bit(step.child)
        if isinstance(report, Complete):
            self._complete(step.parent_path, number, bit)
        elif not self._block(step.parent_path, number).completed & bit:
            self._apply_to(report, task.path)

    def _apply_to(self, report: Report, path: str) -> None:
        if isinstance(report, Complete):
            self._completed_outright = True
            return
        task = self._task(path)
        if isinstance(report, Failed):
            task.failed = True
            self._failures[path] = report.failure
        elif isinstance(report, Progress):
            if report.percentage <= task.reported:
                return
            task.reported = report.percentage
        self._mark_changed(path, task)

    def _descend(self, steps: tuple[Step, ...]) -> bool:
        """Record the child at each step, and return whether none of these tasks has completed.

        Nothing is recorded below a completed task.
        """
        for step in steps:
            self._record_child(step.parent_path, step.child, step.child if step.is_last else 0)
            number, bit = block_and_bit(step.child)
            if self._block(step.parent_path, number).completed & bit:
                return False
        return True

    def _record_child(self, path: str, child: int, last: int) -> None:
        """Record a child of the task at `path`, and the number that is marked as its last child (0: none)."""
        task = self._task(path)
        marked = task.last_child or last
        if marked and (child > marked or (last and (last != marked or last < task.highest_child))):
            self.contradictions += 1
            self.contradicting_task = child_path(path, child)
        if child > task.highest_child:
            task.highest_child = child
            self._mark_changed(path, task)
        if last > task.last_child:
            task.last_child = last
            self._mark_changed(path, task)

    def _complete(self, path: str, number: int, mask: int) -> None:
        """Mark children of the task at `path` as completed."""
        block = self._block(path, number)
        new = mask & ~block.completed
        if not new:
            return
        task = self._task(path)
        self._mark_changed(path, task)
        if block.tracked:
            for child in children_in(number, new & block.tracked):
                self._remove(task, child_path(path, child))
            block.tracked &= ~new
        block.completed |= new
        block.changed = True
        task.completed_children += new.bit_count()

    def _remove(self, parent: TaskState, path: str) -> None:
        """Remove the state of a completed child, which is only a bit from now on."""
        task = self.job.tasks.pop(path)
        parent.children_percentage -= task.counted_percentage
        parent.failed_children -= task.counted_as_failed
        if task.stored:
            self._removed_tasks.append(path)
        if task.failed:
            self._removed_failures.append(path)
            self._failures.pop(path, None)
        if task.highest_child:
            if task.stored and self._has_rows_below(path, task):
                self._removed_subtrees.append(path)
            self._remove_below(path, task.highest_child)

    def _has_rows_below(self, path: str, task: TaskState) -> bool:
        """Return whether anything may be stored below a stored task, in rows other than its own.

        A child that is tracked no more was removed by itself, with what was below it.
        """
        block = self.job.blocks.get((path, 0))
        return task.highest_child > FIRST_CHILDREN or (block is not None and block.tracked > 0)

    def _remove_below(self, path: str, highest_child: int) -> None:
        """Remove what is loaded below the task at `path`.

        The parents of each loaded task are loaded too, with the blocks in which they track it.
        """
        blocks = self.job.blocks
        last = block_and_bit(highest_child)[0]
        numbers = range(last + 1) if last < len(blocks) else [number for at, number in blocks if at == path]
        for number in numbers:
            block = blocks.pop((path, number), None)
            for child in children_in(number, block.tracked) if block is not None else ():
                below = child_path(path, child)
                self._failures.pop(below, None)
                task = self.job.tasks.pop(below, None)
                if task is not None and task.highest_child:
                    self._remove_below(below, task.highest_child)

    def _update_parents(self) -> None:
        """Count the changes of tasks in their parents, the deepest first."""
        if self._uncounted == _JOB_ONLY:
            self._uncounted.clear()
            return
        depths: dict[int, set[str]] = {}
        for path in self._uncounted:
            if path:
                depths.setdefault(path.count("."), set()).add(path)
        for depth in range(max(depths, default=-1), -1, -1):
            for path in depths.get(depth, ()):
                task = self.job.tasks.get(path)
                if task is None:
                    continue  # removed with a completed task above it
                self._update_parent(task)
                if depth:
                    depths.setdefault(depth - 1, set()).add(task.parent_path)
        self._uncounted.clear()

    def _update_parent(self, task: TaskState) -> None:
        parent_path = task.parent_path
        if task.is_complete():
            self._complete(parent_path, *block_and_bit(task.child))
            return
        percentage, failed = task.percentage(), task.counts_as_failed()
        if percentage != task.counted_percentage or failed != task.counted_as_failed:
            parent = self._task(parent_path)
            parent.children_percentage += percentage - task.counted_percentage
            parent.failed_children += failed - task.counted_as_failed
            task.counted_percentage, task.counted_as_failed = percentage, failed
            self._mark_changed(parent_path, parent)

    def _update_job(self) -> None:
        root = self.job.tasks.get("")
        if self._completed_outright or self._root_is_complete():
            self._changed = True
            self.status, self.percentage = JobStatus.COMPLETED, FULL
        elif root is not None and self._changed:
            self.percentage = root.percentage()
            reached = JobStatus.FAILED if root.counts_as_failed() else JobStatus.ACTIVE
            self.status = max(self.status, reached)

    def _root_is_complete(self) -> bool:
        root = self.job.tasks.get("")
        return root is not None and root.is_complete()

    # State, which is created when it is first needed

    def _task(self, path: str) -> TaskState:
        task = self.job.tasks.get(path)
        if task is None:
            parent_path, child = parent_of(path)
            task = self.job.tasks[path] = TaskState(parent_path=parent_path, child=child)
            if path:
                number, bit = block_and_bit(child)
                block = self._block(parent_path, number)
                block.tracked |= bit
                block.changed = True
        return task

    def _block(self, path: str, number: int) -> Block:
        block = self.job.blocks.get((path, number))
        if block is None:
            block = self.job.blocks[path, number] = Block()
        return block

    def _mark_changed(self, path: str, task: TaskState) -> None:
        self._uncounted.add(path)
        task.changed = True
        self._changed = True


def _add_steps(steps: tuple[Step, ...], paths: set[str], blocks: set[tuple[str, int]]) -> None:
    for step in steps:
        paths.add(step.parent_path)
        if step.child > FIRST_CHILDREN:
            blocks.add((step.parent_path, block_and_bit(step.child)[0]))
