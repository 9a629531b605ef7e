"""The reasons that lie with other jobs: those that a job waits for, and those it waits for in the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import structs

from tracker.diagnosis.direct import NAMED, Prerequisite, read_prerequisites
from tracker.diagnosis.own_reasons import Tree, own_reasons
from tracker.diagnosis.reason import Reason, ReasonCode
from tracker.diagnosis.standing import Standing, read_standings
from tracker.diagnosis.trees import read_tree
from tracker.diagnosis.wording import counted, in_ms, listed, since_text
from tracker.identifiers import JobName
from tracker.job_status import JobStatus
from tracker.store.steps import Verb, ask

_TREES_READ = 3  # of roots: each may have a million tasks
# What keeps a job from being sent whatever it waits for comes before what it waits for.
_BEFORE_PREREQUISITES = (
    ReasonCode.ENDED,
    ReasonCode.FAILED_TASKS,
    ReasonCode.PARTITION_SUSPENDED,
    ReasonCode.PAUSED,
)
_CODES = {
    JobStatus.FAILED: ReasonCode.PREREQUISITE_FAILED,
    JobStatus.CANCELLED: ReasonCode.PREREQUISITE_CANCELLED,
    JobStatus.PAUSED: ReasonCode.PREREQUISITE_PAUSED,
    JobStatus.WAITING: ReasonCode.PREREQUISITE_WAITING,
    JobStatus.ACTIVE: ReasonCode.PREREQUISITE_RUNNING,
}


@dataclass(frozen=True)
class _Root:
    name: JobName
    job_key: int | None  # None: it is not stored


def find_waiting_reasons(job: Standing, now: datetime, *, scheduler_is_active: bool) -> Verb[list[Reason]]:
    """Return what a job waits for: how many jobs directly, and then each root with its own first reasons."""
    direct = (yield from read_prerequisites([job])).get(job.key, ())
    reasons = [unmet(job, direct)]
    named = {each.job_id for each in direct}
    partition_id = job.name.partition_id
    rows = yield from ask("find_roots", tenant_key=job.tenant_key, job_key=job.job_key, limit=NAMED)
    if not rows:
        return [*reasons, _cycle(job)]
    roots = [_Root(JobName(partition_id, job_id), job_key) for job_id, job_key, _, _ in rows]
    stored = yield from read_standings((job.tenant_key, root.job_key) for root in roots if root.job_key)
    found = {each.name: each for each in stored}
    trees = yield from _read_trees(roots, found)
    count = rows[0][-1]
    for root in roots:
        standing = found.get(root.name)
        # Nothing that is done to such a root helps. Further up, it is another job that waits for it.
        way_out = (
            f"tracker job prerequisites {job.name} --remove {root.name.job_id}"
            if root.name.job_id in named
            else None
        )
        if standing is None:
            reasons.append(_unknown(root.name, count, way_out))
            continue
        reasons.append(_of_root(standing, now, count, way_out))
        if standing.status in (JobStatus.WAITING, JobStatus.ACTIVE):
            own = own_reasons(
                standing, trees.get(root.name, Tree()), now, scheduler_is_active=scheduler_is_active
            )
            reasons += [structs.replace(each, text=f"{root.name}: {each.text}") for each in own]
    return reasons


def with_prerequisites(own: Sequence[Reason], waiting: Sequence[Reason]) -> list[Reason]:
    """Return a job's own reasons and those that lie with what it waits for, the most telling first."""
    before = [each for each in own if each.code in _BEFORE_PREREQUISITES]
    return [*before, *waiting, *(each for each in own if each.code not in _BEFORE_PREREQUISITES)]


def unmet(job: Standing, direct: Sequence[Prerequisite]) -> Reason:
    """Return that it waits for others, and for which directly."""
    names = [f"{job.name.partition_id}:{each.job_id}" for each in direct]
    return Reason(
        code=ReasonCode.UNMET_PREREQUISITES,
        text=f"It waits for {counted(job.unmet, 'job')}: {listed(names, job.unmet)}.",
        subject=str(job.name),
        count=job.unmet,
    )


def _read_trees(roots: list[_Root], found: Mapping[JobName, Standing]) -> Verb[dict[JobName, Tree]]:
    running = [
        root.name for root in roots if root.name in found and found[root.name].status is JobStatus.ACTIVE
    ]
    trees = {}
    for name in running[:_TREES_READ]:
        trees[name] = yield from read_tree(found[name])
    return trees


def _cycle(job: Standing) -> Reason:
    return Reason(
        code=ReasonCode.CYCLE,
        text="The jobs that it waits for wait for each other in a cycle.",
        subject=str(job.name),
    )


def _unknown(root: JobName, count: int, way_out: str | None) -> Reason:
    return Reason(
        code=ReasonCode.PREREQUISITE_UNKNOWN,
        text=f"It waits in the end for {root}, which is not stored: it was not submitted yet, or was"
        " deleted.",
        subject=str(root),
        count=count,
        command=way_out,
    )


def _of_root(root: Standing, now: datetime, count: int, way_out: str | None) -> Reason:
    commands = {
        JobStatus.CANCELLED: way_out,
        JobStatus.FAILED: f"tracker job retry {root.name}",
        JobStatus.PAUSED: f"tracker job resume {root.name}",
        JobStatus.WAITING: f"tracker job why {root.name}",
        JobStatus.ACTIVE: f"tracker job why {root.name}",
    }
    what = {
        JobStatus.FAILED: "which has failed",
        JobStatus.CANCELLED: f"which was cancelled{root.by_whom('cancel')}",
        JobStatus.PAUSED: f"which has been paused{since_text(root.pause_time, now)}{root.by_whom('pause')}",
        JobStatus.WAITING: "which waits for no other job",
        JobStatus.ACTIVE: f"which is at {root.percentage / 1e6:.2f} %",
    }
    since = {JobStatus.CANCELLED: root.end_time, JobStatus.PAUSED: root.pause_time}
    return Reason(
        code=_CODES[root.status],
        text=f"It waits in the end for {root.name}, {what[root.status]}.",
        subject=str(root.name),
        since=in_ms(since.get(root.status)),
        count=count,
        command=commands.get(root.status),
    )
