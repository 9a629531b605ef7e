"""The reports on one job, as a script of steps, and the records and batches that they become.

Everything is drawn from a `random.Random`. A script has a body in any order, then a tail that ends the job,
in order. If the steps are sent so, and a job's messages are on one Kafka partition, neither the final state
nor what is forwarded depends on the batches.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple, TypeVar

from tests.support.messages import (
    failure,
    key_of,
    progress_event,
    record_of,
    report,
    task_message,
    tracking_report,
)
from tests.support.model.task_trees import Path, Tree
from tests.support.records import Record

T = TypeVar("T")

PLANS = ("completes", "fails", "repaired", "unfinished")
"""How a job can end."""


class Step(NamedTuple):
    """One report on a task.

    `kind`: complete, failed, progress, in-progress, retry. `via`: event, progress-event, proxied.
    """

    task: str
    kind: str
    percentage: float = 0
    via: str = "event"


@dataclass
class Script:
    """The steps of one job: the body in any order, then the tail."""

    job: str
    plan: str
    body: list[Step]
    tail: list[Step]


def make_script(random: Random, job: str, tree: Tree, plan: str, *, events_only: bool = False) -> Script:
    """Make the steps of a job that completes, fails, is repaired after it failed, or stays unfinished.

    They do not contradict each other. A tree in which indexes are missing can only fail or stay unfinished.
    """
    if plan in {"completes", "repaired"} and not tree.is_whole:
        plan = "unfinished"
    leaves = tree.leaves()
    random.shuffle(leaves)
    held_back = leaves[: 1 if plan == "completes" else random.randint(1, min(3, len(leaves)))]
    body = [
        Step(name, "complete", via=pick_via(random, events_only))
        for leaf in leaves[len(held_back) :]
        if plan != "unfinished" or random.random() < 0.9
        for name in leaf_names(random, job, tree, leaf)
    ]
    for path in tree.paths():
        body += extra_steps(random, job, tree, path, held_back)
    if events_only:
        body = [step for step in body if step.kind not in {"in-progress", "retry"}]
    random.shuffle(body)
    return Script(job, plan, body, make_tail(random, job, tree, held_back, plan))


def make_tail(random: Random, job: str, tree: Tree, held_back: list[Path], plan: str) -> list[Step]:
    """Make the steps that end the job."""
    names = [task_name(job, tree, path) for path in held_back]
    via = pick_via(random, events_only=plan != "completes")
    done = [Step(name, "complete", via=via) for name in names]
    failed = [Step(name, "failed") for name in names]
    return {"completes": done, "fails": failed, "repaired": failed + done, "unfinished": []}[plan]


def extra_steps(random: Random, job: str, tree: Tree, path: Path, held_back: list[Path]) -> Iterator[Step]:
    """Make steps that change little: progress, retries, and at times a parent that completes outright."""
    name = task_name(job, tree, path, random)
    chance = random.random()
    if chance < 0.15:
        percentage = random.choice([0, 100, 99.95, 1e-7, random.randint(0, 100), random.uniform(0, 100)])
        yield Step(name, "progress", percentage, random.choice(["event", "progress-event"]))
    elif chance < 0.3:
        yield Step(name, random.choice(["in-progress", "in-progress", "retry"]), via="proxied")
    elif chance < 0.33 and path and not any(leaf[: len(path)] == path for leaf in held_back):
        yield Step(name, "complete")


def leaf_names(random: Random, job: str, tree: Tree, leaf: Path) -> Iterator[str]:
    """Name a leaf once or more. At least one name has all marks that are due."""
    if random.random() < 0.2:
        yield task_name(job, tree, leaf, random)
    yield task_name(job, tree, leaf)
    if random.random() < 0.1:
        yield task_name(job, tree, leaf, random)


def task_name(job: str, tree: Tree, path: Path, random: Random | None = None) -> str:
    """Return the `jobTaskId` of a task: with every mark that is due or, with `random`, with some of them."""
    text = job
    for at, index in enumerate(path):
        marked = tree.at(path[:at]).last == index and (random is None or random.random() < 0.5)
        text += f".{index}{'*' * marked}"
    return text


def pick_via(random: Random, events_only: bool) -> str:
    return "event" if events_only or random.random() < 0.3 else "proxied"


# --- records


def record_for(random: Random, *steps: Step, realistic: bool = False, key: bytes | None = None) -> Record:
    """Make the record with these steps. Only an event can have several."""
    key = key_of(steps[0].task) if key is None else key
    headers: list[tuple[str, bytes | None]] = []
    if random.random() < 0.2:
        headers.append(("traceparent", b"00-%032x-01" % random.getrandbits(64)))
    first = steps[0]
    if first.via == "proxied":
        value, more = proxied(random, first, realistic=realistic)
        return record_of(value, key=key, headers=[*headers, *more])
    if first.via == "progress-event":
        return record_of(progress_event(first.task, first.percentage), key=key, headers=headers)
    to = "TRACKING" if random.random() < 0.05 else "tracking"
    return record_of(tracking_report(*map(report_of, steps), to=to), key=key, headers=headers)


def report_of(step: Step) -> dict[str, Any]:
    """Make the report of a step in an event."""
    if step.kind == "failed":
        return report(step.task, "Failed", failure=failure(f"{step.task} broke"))
    if step.kind == "progress":
        return report(step.task, "Progress", step.percentage)
    return report(step.task, step.kind.capitalize())


def group(random: Random, steps: Sequence[Step]) -> list[list[Step]]:
    """Put some events that follow each other into one record."""
    groups: list[list[Step]] = []
    for each in steps:
        if groups and groups[-1][-1].via == each.via == "event" and random.random() < 0.3:
            groups[-1].append(each)
        else:
            groups.append([each])
    return groups


def proxied(random: Random, step: Step, *, realistic: bool) -> tuple[bytes, list[tuple[str, bytes | None]]]:
    """Make the message to a worker for a step, and the headers that it needs."""
    number = random.getrandbits(40)
    fields: dict[str, Any] = {"taskId": f"{number:x}", "correlationId": f"c-{number}", "realistic": realistic}
    if step.kind == "complete":
        status = random.choice(["NEW_TASK", "RESULT_SUCCESS", "RESULT_FAILURE"])
        ends = random.choice([("worker-out", "worker-out"), ("worker-out", "WORKER-out"), (None, None)])
        return task_message(step.task, to=ends[0], track_to=ends[1], status=status, **fields), []
    if step.kind == "in-progress":
        track_to = random.choice(["worker-out", None])
        return task_message(step.task, to="worker-in", track_to=track_to, **fields), []
    if step.kind == "retry":
        unknown = random.choice([None, "RESULT_MAYBE"])
        return task_message(step.task, to="worker-in", status=unknown, **fields), []
    how = random.choice(["RESULT_EXCEPTION", "INVALID_TASK", None])
    to = random.choice(["worker-in", "worker-out", None])
    value = task_message(step.task, to=to, status=how, task_data=f"{step.task} broke".encode(), **fields)
    rejected: list[tuple[str, bytes | None]] = [
        ("x-caf-worker-rejected", b"too often"),
        ("x-caf-worker-retry", b"3"),
    ]
    return value, rejected if how is None else []


def cut(random: Random, records: Sequence[T], *, largest: int = 50) -> list[list[T]]:
    """Cut a sequence into batches."""
    ends = [0]
    while ends[-1] < len(records):
        ends.append(ends[-1] + random.choice([1, 2, random.randint(1, largest)]))
    return [list(records[first:end]) for first, end in pairwise(ends)]
