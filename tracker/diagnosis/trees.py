"""Reads what is known of the tasks of a job: which have not completed, and which have failed."""

from tracker.diagnosis.own_reasons import FailureGroup, Tree
from tracker.diagnosis.standing import Standing
from tracker.jobs.job import MissingState
from tracker.jobs.unfinished import find_unfinished
from tracker.store.steps import Query, Verb, ask

_RANGES_SHOWN = 3
_GROUPS_SHOWN = 5


def read_tree(job: Standing) -> Verb[Tree]:
    """Return what is known of the tasks of a job."""
    tree = Tree()
    walk = find_unfinished(job.name, job.tenant_key, job.job_key, job.status, ())
    step = next(walk, None)
    while step is not None:
        if isinstance(step, Query):
            rows = yield step
            try:
                step = walk.send(rows)
            except StopIteration:
                break
            continue
        for tasks in step:
            if tasks.state is MissingState.UNKNOWN:
                tree.has_unknown = True
            else:
                tree.missing[tasks.state] = tree.missing.get(tasks.state, 0) + (tasks.count or 0)
            if len(tree.first) < _RANGES_SHOWN:
                tree.first.append(tasks)
        step = next(walk, None)
    if tree.missing.get(MissingState.FAILED):
        yield from _read_failures(job, tree)
    return tree


def _read_failures(job: Standing, tree: Tree) -> Verb[None]:
    rows = yield from ask(
        "group_failures", tenant_key=job.tenant_key, job_key=job.job_key, limit=_GROUPS_SHOWN
    )
    for failure_id, message, count, path, group_count, failed in rows:
        first_task = f"{job.name}.{path}" if path else str(job.name)
        tree.failures.append(FailureGroup(failure_id, message, count, first_task))
        tree.failure_groups, tree.failed = group_count, failed
