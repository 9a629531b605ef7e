"""Folds one job's reports of a batch into its state.

In three steps, with loading in between, since the caller does that for all the jobs of a batch at once:
`JobFold.needs` says which tasks and blocks to load; `tracked_children`, which completed children have rows
of their own to load; `fold` changes the state and says what is to be written.
"""

from collections.abc import Mapping
from operator import itemgetter

from tracker.fold.state import FULL, Block, JobState, TaskState, block_and_bit, masks, members
from tracker.identifiers import JobName, Step, TaskName, child_path, parent_of
from tracker.job_status import JobStatus
from tracker.messages.event import Complete, Failed, Failure, Progress, Report
from tracker.messages.job_work import JobWork, Siblings


def folds_of(work: Mapping[JobName, JobWork], jobs: Mapping[JobName, JobState]) -> list["JobFold"]:
    """Return the folds of a batch: of each of its jobs that may change, and of which it reports anything."""
    folds = []
    for name, of_job in work.items():
        job = jobs.get(name)
        if job is not None and job.status <= JobStatus.FAILED and of_job.reports_anything:
            folds.append(JobFold(job, of_job))
    return folds


class JobFold:
    """What a batch makes of one job. After `fold`, the attributes below say what is to be written."""

    def __init__(self, job: JobState, work: JobWork) -> None:
        self.job = job
        self._reports = work.event_reports
        self._siblings: list[Siblings] = list(work.event_siblings)
        self._job_completed_positions: list[int] = []
        if job.status is not JobStatus.FAILED:  # else its proxied messages are dropped
            self._reports = work.reports + work.event_reports
            self._siblings += [siblings for siblings in work.siblings if siblings.completed]
            self._job_completed_positions = work.job_completed_positions
        self._masks: dict[str, dict[int, int]] = {}  # path -> block -> children reported complete by messages
        for siblings in self._siblings:
            of_path = self._masks.setdefault(siblings.path, {})
            for number, mask in masks(siblings.completed).items():
                of_path[number] = of_path.get(number, 0) | mask
        self._unsettled: set[str] = set()  # tasks that have changed since their parents were told
        self._completed_outright = False
        self._completing_position: int | None = None
        self._completed_before: dict[tuple[str, int], int] = {}
        self._marked_before: set[str] = set()

        self.status = job.status
        self.percentage = job.percentage
        self.touched = False  # whether anything of the job is to be written
        self.removed_tasks: list[str] = []  # stored, completed now
        self.removed_subtrees: list[str] = []  # completed with children: what is below them goes too
        self.removed_failures: list[str] = []
        self.failures: dict[str, Failure] = {}  # path -> details, new or newer
        self.contradictions = 0
        self.contradicting_task = ""  # path of one of them

    @property
    def has_failed(self) -> bool:
        """Whether the batch has failed the job, or more of it; the task may be repaired by now."""
        newly = self.job.status is not JobStatus.FAILED
        return self.status is JobStatus.FAILED and (newly or bool(self.failures))

    # What to load

    def needs(self) -> tuple[set[str], set[tuple[str, int]]]:
        """Return the paths of the tasks to load, and (path, number) of the blocks."""
        paths: set[str] = set()
        blocks: set[tuple[str, int]] = set()
        if self.job.status is JobStatus.WAITING:
            return paths, blocks  # nothing was ever reported: there is nothing stored
        for siblings in self._siblings:
            paths.add(siblings.path)
            _add_steps(siblings.steps, paths, blocks)
        for path, of_path in self._masks.items():
            blocks.update((path, number) for number in of_path)
        for _, report in self._reports:
            paths.add(report.task.path)
            _add_steps(report.task.steps, paths, blocks)
        if self._job_completed_positions:
            paths.add("")
        return paths, blocks

    def tracked_children(self) -> list[str]:
        """Return the paths of completed children that have a row of their own, to be loaded as well."""
        found = []
        for path, of_path in self._masks.items():
            for number, mask in of_path.items():
                block = self.job.blocks.get((path, number))
                if block is not None and (hit := mask & block.tracked):
                    found += [child_path(path, child) for child in members(number, hit)]
        return [path for path in found if path not in self.job.tasks]

    # The fold

    def fold(self) -> None:
        """Apply the reports; the state loaded in `job` is changed in place."""
        self._completed_before = {key: block.completed for key, block in self.job.blocks.items()}
        self._marked_before = {path for path, task in self.job.tasks.items() if task.last_child}
        fails = any(isinstance(report, Failed) for _, report in self._reports)
        if fails and self.job.status is not JobStatus.FAILED:
            self._fold_one_by_one()
        else:
            self._fold_at_once()

    def _fold_at_once(self) -> None:
        for siblings in self._siblings:
            if self._descend(siblings.steps):
                self._learn(siblings.path, max(siblings.completed), siblings.last)
        for path, of_path in self._masks.items():
            if self._is_open(path):
                for number, mask in of_path.items():
                    self._complete(path, number, mask)
        for _, report in self._reports:
            self._apply(report)
        self._completed_outright |= bool(self._job_completed_positions)
        self._settle_upwards()
        self._settle_job()

    def _fold_one_by_one(self) -> None:
        """Apply the reports in their order, so that it does not depend on batches whether the job has failed.

        It has for good once a task has failed that had not completed before. Costs twenty times as much, but
        only in the batch that fails the job: its messages are dropped from then on.
        """
        for position, report in self._in_order():
            self._apply(report)
            self._settle_upwards()
            self._settle_job()
            if self.status is JobStatus.COMPLETED:
                self._completing_position = position
                return

    def _in_order(self) -> list[tuple[int, Report]]:
        itself = TaskName(self.job.name, "", ())
        reports: list[tuple[int, Report]] = [
            (position, Complete(itself)) for position in self._job_completed_positions
        ]
        for siblings in self._siblings:
            for text, child, position in zip(
                siblings.completed_texts, siblings.completed, siblings.completed_positions, strict=True
            ):
                parent = TaskName(self.job.name, siblings.path, siblings.steps)
                reports.append((position, Complete(parent.child(child, text[-1] == "*"))))
        return sorted(reports + self._reports, key=itemgetter(0))

    def changed_tasks(self) -> list[tuple[str, TaskState]]:
        """Return the tasks to be stored, by path."""
        return [(path, task) for path, task in self.job.tasks.items() if task.changed]

    def changed_blocks(self) -> list[tuple[tuple[str, int], Block]]:
        """Return the blocks to be stored, by path and number."""
        return [(key, block) for key, block in self.job.blocks.items() if block.changed]

    def completing_position(self) -> int:
        """Return the position of the record that completed the job.

        It is the last that told something new, or the first that completed the job outright. Where tasks
        below complete both outright and by their children it may be one that came a little later.
        """
        if self._completing_position is not None:
            return self._completing_position
        if not self._reports and not any(siblings.steps for siblings in self._siblings):
            return self._completing_position_of_children()
        outright = []
        news: dict[tuple[str, int], int] = {}  # (path of the parent, child, or 0 for a mark) -> first told
        for position, report in self._in_order():
            steps = report.task.steps
            if isinstance(report, Complete) and not steps:
                outright.append(position)
            for step in steps:
                if step.is_last and step.parent_path not in self._marked_before:
                    news.setdefault((step.parent_path, 0), position)
                if self._had_completed(step):
                    break  # nothing is new below
            else:
                if isinstance(report, Complete) and steps:
                    news.setdefault((steps[-1].parent_path, steps[-1].child), position)
        if outright and not (news and self._itself_is_complete()):
            return outright[0]
        return min([max(news.values()), *outright])

    def _completing_position_of_children(self) -> int:
        """Return the same where all that was reported are the job's own children, and perhaps itself.

        Which is what most jobs are; it takes a tenth of the time.
        """
        first_told: dict[int, int] = {}  # child -> position
        marks = []
        for siblings in self._siblings:
            # Backwards, so that of several the first stays.
            children, positions = reversed(siblings.completed), reversed(siblings.completed_positions)
            for child, position in dict(zip(children, positions, strict=True)).items():
                first_told[child] = min(first_told.get(child, position), position)
            if siblings.last and "" not in self._marked_before:
                told = zip(siblings.completed_texts, siblings.completed_positions, strict=True)
                marks.append(next(position for text, position in told if text[-1] == "*"))
        before = {number: mask for (path, number), mask in self._completed_before.items() if not path}
        news = [
            position
            for child, position in first_told.items()
            if not before or not before.get(block_and_bit(child)[0], 0) & block_and_bit(child)[1]
        ]
        if marks:
            news.append(min(marks))
        outright = self._job_completed_positions[:1]
        if outright and not (news and self._itself_is_complete()):
            return outright[0]
        return min([max(news), *outright])

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
        self._learn(step.parent_path, step.child, step.child if step.is_last else 0)
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
            self.failures[path] = report.failure
        elif isinstance(report, Progress):
            if report.percentage <= task.reported:
                return
            task.reported = report.percentage
        self._change(path, task)

    def _descend(self, steps: tuple[Step, ...]) -> bool:
        """Learn of each level on the way; return whether the task at the end is open.

        Below a completed task nothing is learnt.
        """
        for step in steps:
            self._learn(step.parent_path, step.child, step.child if step.is_last else 0)
            number, bit = block_and_bit(step.child)
            if self._block(step.parent_path, number).completed & bit:
                return False
        return True

    def _learn(self, path: str, child: int, last: int) -> None:
        """Note a child of the task at `path`, and which of its children is marked as the last (0: none)."""
        task = self._task(path)
        marked = task.last_child or last
        if marked and (child > marked or (last and (last != marked or last < task.highest_child))):
            self.contradictions += 1
            self.contradicting_task = child_path(path, child)
        if child > task.highest_child or last > task.last_child:
            task.highest_child = max(task.highest_child, child)
            task.last_child = max(task.last_child, last)
            self._change(path, task)

    def _complete(self, path: str, number: int, mask: int) -> None:
        """Mark children of the task at `path` as completed."""
        block = self._block(path, number)
        new = mask & ~block.completed
        if not new:
            return
        task = self._task(path)
        self._change(path, task)
        for child in members(number, new & block.tracked):
            self._remove(task, child_path(path, child))
        block.completed |= new
        block.tracked &= ~new
        block.changed = True
        task.completed_children += new.bit_count()

    def _remove(self, parent: TaskState, path: str) -> None:
        """Take a completed child's own state away; its bit says the rest."""
        task = self.job.tasks.pop(path)
        parent.children_percentage -= task.counted_percentage
        parent.failed_children -= task.counted_as_failed
        if task.stored:
            self.removed_tasks.append(path)
        if task.failed:
            self.removed_failures.append(path)
            self.failures.pop(path, None)
        if task.highest_child:
            self._remove_below(path, stored=task.stored)

    def _remove_below(self, path: str, *, stored: bool) -> None:
        if stored:
            self.removed_subtrees.append(path)
        below = path + "."
        for key in [key for key in self.job.tasks if key.startswith(below)]:
            del self.job.tasks[key]
        for key in [key for key in self.failures if key.startswith(below)]:
            del self.failures[key]
        for block in [key for key in self.job.blocks if key[0] == path or key[0].startswith(below)]:
            del self.job.blocks[block]

    def _settle_upwards(self) -> None:
        """Carry what has changed to the parents, the deepest first."""
        depths: dict[int, set[str]] = {}
        for path in self._unsettled:
            if path:
                depths.setdefault(path.count("."), set()).add(path)
        for depth in range(max(depths, default=-1), -1, -1):
            for path in sorted(depths.get(depth, ())):
                task_or_none = self.job.tasks.get(path)
                if task_or_none is None:
                    continue  # removed with a completed task above it
                parent_path, child = parent_of(path)
                self._settle(task_or_none, parent_path, child)
                if parent_path:
                    depths.setdefault(depth - 1, set()).add(parent_path)
        self._unsettled.clear()

    def _settle(self, task: TaskState, parent_path: str, child: int) -> None:
        if task.is_complete():
            self._complete(parent_path, *block_and_bit(child))
            return
        parent = self._task(parent_path)
        percentage, failed = task.percentage(), task.counts_as_failed()
        if (percentage, failed) != (task.counted_percentage, task.counted_as_failed):
            parent.children_percentage += percentage - task.counted_percentage
            parent.failed_children += failed - task.counted_as_failed
            task.counted_percentage, task.counted_as_failed = percentage, failed
            self._change(parent_path, parent)

    def _settle_job(self) -> None:
        itself = self.job.tasks.get("")
        if self._completed_outright or self._itself_is_complete():
            self.touched = True
            self.status, self.percentage = JobStatus.COMPLETED, FULL
        elif itself is not None and self.touched:
            self.percentage = itself.percentage()
            reached = JobStatus.FAILED if itself.counts_as_failed() else JobStatus.ACTIVE
            self.status = max(self.status, reached)

    def _itself_is_complete(self) -> bool:
        itself = self.job.tasks.get("")
        return itself is not None and itself.is_complete()

    # State, made when it is first needed

    def _task(self, path: str) -> TaskState:
        task = self.job.tasks.get(path)
        if task is None:
            task = self.job.tasks[path] = TaskState()
            if path:
                parent_path, child = parent_of(path)
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

    def _change(self, path: str, task: TaskState) -> None:
        self._unsettled.add(path)
        task.changed = True
        self.touched = True

    def _is_open(self, path: str) -> bool:
        """Return whether neither the task at `path` nor one above it has completed."""
        while path:
            parent_path, child = parent_of(path)
            number, bit = block_and_bit(child)
            block = self.job.blocks.get((parent_path, number))
            if block is not None and block.completed & bit:
                return False
            path = parent_path
        return True


def _add_steps(steps: tuple[Step, ...], paths: set[str], blocks: set[tuple[str, int]]) -> None:
    for step in steps:
        paths.add(step.parent_path)
        blocks.add((step.parent_path, block_and_bit(step.child)[0]))
