"""The fixed batches: a case for each kind of work with costs of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from bench.workload import (
    PARTITION_ID,
    Events,
    FirstTasks,
    ProducerRecord,
    Size,
    TaskMessageFactory,
    TasksInTurn,
    Topics,
    Tree,
    Workload,
    only_tasks,
    start_task,
)
from tracker import NewJob

ROUNDS = 5
"""Of each case. The first batch prepares statements and loads code; the others are counted."""

_RELEASES = 1_000


@dataclass(frozen=True)
class Batches:
    """The batches of a case, and the jobs that they are about.

    A batch has `units` of `unit`: messages, or the reports or releases that they cause; `releases` of them
    are releases.
    """

    topics: Topics
    jobs: Sequence[NewJob]
    records: Sequence[Sequence[ProducerRecord]]
    units: int
    unit: str = "message"
    releases: int = 0


def _batches(name: str, make: Callable[[Topics, Size], Workload], *, total: int, messages: int) -> Batches:
    """Return the first batches, of so many messages each, of a workload of about `total` messages."""
    topics = Topics.of(name)
    workload = make(topics, Size(total, prefix=name))
    following = workload.messages()
    records = [list(islice(following, messages)) for _ in range(ROUNDS)]
    units = messages * workload.units_per_message
    return Batches(topics, workload.jobs(), records, units, workload.unit.removesuffix("s"))


def _release(name: str) -> Batches:
    """Return batches of one message, which completes the only prerequisite of many jobs."""
    topics = Topics.of(name)
    factory = TaskMessageFactory(topics, seed=1)
    task = start_task(topics, topics.destination)
    jobs, records = [], []
    for number in range(ROUNDS):
        root = f"{name}-{number:06d}"
        dependents = (f"{root}-{dependent:06d}" for dependent in range(_RELEASES))
        jobs.append(NewJob(partition_id=PARTITION_ID, id=root, task=task))
        jobs += [
            NewJob(partition_id=PARTITION_ID, id=each, task=task, prerequisite_job_ids=(root,))
            for each in dependents
        ]
        value = factory.message(number, number, root, b"1*")
        records.append([ProducerRecord(0, f"{PARTITION_ID}:{root}".encode(), value)])
    return Batches(topics, jobs, records, _RELEASES, "release", _RELEASES)


CASES: Mapping[str, Callable[[str], Batches]] = {
    "complete": partial(_batches, make=partial(TasksInTurn, jobs=200), total=1_000_000, messages=10_000),
    "proxied": partial(
        _batches, make=partial(TasksInTurn, jobs=200, in_progress=True), total=1_000_000, messages=10_000
    ),
    "small": partial(_batches, make=partial(TasksInTurn, jobs=100), total=500_000, messages=100),
    "nested": partial(_batches, make=partial(Tree, shuffled=True), total=50**3, messages=5_000),
    "job-each-only-task": partial(_batches, make=only_tasks, total=ROUNDS * 1_000, messages=1_000),
    "job-each-first-task": partial(_batches, make=FirstTasks, total=ROUNDS * 1_000, messages=1_000),
    "events": partial(_batches, make=partial(Events, jobs=200), total=1_000_000, messages=200),
    "release": _release,
}
"""What returns the batches of each case, by its name, which begins the names of its topics and jobs."""
