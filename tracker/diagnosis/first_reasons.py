"""The first reason of each of many jobs: a few queries for all, and none that grows with their tasks."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from tracker.diagnosis.direct import Prerequisite, read_prerequisites
from tracker.diagnosis.own_reasons import FailureGroup, Tree, own_reasons
from tracker.diagnosis.reason import Reason, ReasonCode
from tracker.diagnosis.standing import Standing, read_standings
from tracker.diagnosis.waiting import unmet, with_prerequisites
from tracker.diagnosis.wording import in_ms, since_text
from tracker.job_status import JobStatus
from tracker.store.arrays import key_arrays
from tracker.store.steps import Verb, ask

MOST_COUNTED = 100
"""Held messages, and failed tasks, that are counted of each job."""
_GROUPS_NAMED = 5

_Key = tuple[int, int]


def read_first_reasons(
    keys: Sequence[_Key], now: datetime, *, scheduler_is_active: bool, counted: int = MOST_COUNTED
) -> Verb[list[tuple[Standing, Reason]]]:
    """Return the jobs with these keys, in their order, each with its first reason.

    Of each, up to `counted` held messages and failed tasks are counted. If this is 0, what jobs wait for is
    not read: the reasons have their codes, and their texts are not complete.
    """
    stored = yield from read_standings(keys, most_held=counted)
    jobs = {job.key: job for job in stored}
    trees = yield from _read_failures([job for job in stored if not _has_ended(job)], counted)
    direct: Mapping[_Key, Sequence[Prerequisite]] = {}
    waiting = [job for job in stored if job.is_waiting]
    if waiting and counted:
        direct = yield from read_prerequisites(waiting)
    return [
        (
            job,
            _first_reason(
                job,
                trees.get(job.key, Tree()),
                direct.get(job.key, ()),
                now,
                scheduler_is_active=scheduler_is_active,
            ),
        )
        for job in (jobs[key] for key in keys if key in jobs)
    ]


def _has_ended(job: Standing) -> bool:
    return job.status > JobStatus.FAILED or job.root_job_id is not None


def _first_reason(
    job: Standing,
    tree: Tree,
    direct: Sequence[Prerequisite],
    now: datetime,
    *,
    scheduler_is_active: bool,
) -> Reason:
    reasons = list(own_reasons(job, tree, now, scheduler_is_active=scheduler_is_active))
    if job.is_waiting:
        reasons = with_prerequisites(reasons, [unmet(job, direct)])
    return reasons[0] if reasons else _running(job, now)


def _running(job: Standing, now: datetime) -> Reason:
    """Return that a job runs. Which tasks are missing is not read: it may have a million."""
    return Reason(
        code=ReasonCode.MISSING_TASKS,
        text=f"It is at {job.percentage / 1e6:.2f} %. Nothing has been reported"
        f"{since_text(job.last_update_time, now)}.",
        subject=str(job.name),
        since=in_ms(job.last_update_time),
        command=f"tracker job missing {job.name}",
    )


def _read_failures(jobs: Iterable[Standing], counted: int) -> Verb[Mapping[_Key, Tree]]:
    """Return the failed tasks of the jobs that have any."""
    by_key = {job.key: job for job in jobs}
    if not by_key:
        return {}
    rows = yield from ask("sample_failures", **key_arrays(by_key), limit=counted + 1)
    trees: dict[_Key, Tree] = defaultdict(Tree)
    for tenant_key, job_key, failure_id, message, count, path in rows:
        tree, job = trees[tenant_key, job_key], by_key[tenant_key, job_key]
        tree.failed += count
        tree.failure_groups += 1
        if len(tree.failures) < _GROUPS_NAMED:
            first_task = f"{job.name}.{path}" if path else str(job.name)
            tree.failures.append(FailureGroup(failure_id, message, count, first_task))
    for tree in trees.values():
        tree.has_more_failures = tree.failed > counted
        tree.failed = min(tree.failed, max(counted, 1))
    return trees
