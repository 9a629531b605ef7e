"""The verb that finds the tasks of a job that have not completed."""

from collections.abc import Iterable
from functools import partial

from tracker.errors import InvalidQuery
from tracker.identifiers import JobName, Step, parse_task_name
from tracker.job_status import STATUSES
from tracker.jobs.arguments import check_text
from tracker.jobs.job import JobReference, MissingCount, MissingState, MissingTasks
from tracker.jobs.query import find_job
from tracker.jobs.validation import read_job_name
from tracker.store.steps import Prepared, Verb, Walk, ask


def find_missing(job: JobReference, *, under: str | None = None) -> Prepared[Walk[MissingTasks]]:
    """Find the tasks of a job that have not completed, depth first, as ranges of siblings in the same state.

    A task that has subtasks is not among them: its unfinished subtasks are. If the number of its subtasks is
    not known, their ranges end with one that is ``unknown``. `under` is the jobTaskId of a task: only that
    task, or what is below it. All ranges are as the job stood at one moment. A connection is in use until the
    end is reached or the iterator is closed.

    :raises JobNotFound: no job has this name.
    :raises InvalidQuery: `under` is not a task of this job.
    :raises BadIdentifier: a name is malformed.
    """
    name = read_job_name(job)
    steps = () if under is None else _read_steps(name, check_text("task", under))
    return Prepared(partial(_begin, name, steps))


def count_by_state(ranges: Iterable[MissingTasks]) -> list[MissingCount]:
    """Return how many tasks are in each state; the number of unknown ones is None."""
    counts: dict[MissingState, int] = {}
    for each in ranges:
        counts[each.state] = counts.get(each.state, 0) + (each.count or 0)
    return [
        MissingCount(state, None if state is MissingState.UNKNOWN else counts[state])
        for state in MissingState
        if state in counts
    ]


def _read_steps(job: JobName, under: str) -> tuple[Step, ...]:
    task = parse_task_name(under)
    if task.job != job:
        raise InvalidQuery(f"{under} is not a task of {job}")
    return task.steps


def _begin(name: JobName, steps: tuple[Step, ...]) -> Verb[Walk[MissingTasks]]:
    yield from ask("begin_snapshot")
    tenant_key, job_key, status, _ = yield from find_job(name)
    # The fold's code takes a while to load, and no other verb needs it.
    from tracker.jobs.unfinished import find_unfinished

    return Walk(partial(find_unfinished, name, tenant_key, job_key, STATUSES[status], steps))
