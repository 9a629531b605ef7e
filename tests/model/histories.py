"""Generated input for tests of a tracker: trees of tasks, reports on them, their order and their batches.

Everything is drawn from a `random.Random`. Hypothesis provides one that it can replay and shrink
(`histories`); long tests provide one with a printed seed (`Traffic`).

The reports on one job come as a `Script`: a body in any order, then a tail that ends the job, in order. If
they are sent so, and a job's messages are on one Kafka partition, neither the final state nor what is
forwarded depends on the batches. `wild` traffic keeps none of these rules: it is for tests that give both
sides the same batches.

The noise in traffic contains bad records, as a tracker with the default settings judges them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple, TypeVar

from hypothesis import strategies as st

from tests.model.messages import (
    failure,
    key_of,
    progress_event,
    record_of,
    report,
    task_message,
    tracking_report,
)
from tests.model.naive import JobKey, NaiveTracker, Outcome, Refused
from tests.model.poison import POISON
from tests.model.reading import Record

T = TypeVar("T")

Path = tuple[int, ...]

PLANS = ("completes", "fails", "repaired", "unfinished")

NOISE = [
    poison
    for poison in POISON
    if len(poison.value or b"") < 10_000
    and poison.reason != "destination-unknown"
    and "another tracking topic" not in poison.name
]


# --- trees


@dataclass
class Tree:
    """A task and its children, by index."""

    children: "dict[int, Tree]" = field(default_factory=dict)

    @property
    def last(self) -> int:
        return max(self.children)

    @property
    def is_whole(self) -> bool:
        """Whether no index is missing, anywhere."""
        return all(child.is_whole for child in self.children.values()) and (
            not self.children or len(self.children) == self.last
        )

    def paths(self, path: Path = ()) -> Iterator[Path]:
        """List all tasks."""
        yield path
        for index, child in self.children.items():
            yield from child.paths((*path, index))

    def leaves(self) -> list[Path]:
        """List the tasks without subtasks."""
        return [path for path in self.paths() if not self.at(path).children]

    def at(self, path: Path) -> "Tree":
        """Return the task at the path."""
        tree = self
        for index in path:
            tree = tree.children[index]
        return tree


def make_tree(random: Random, size: int, *, depth: int = 5, sparse: bool = False) -> Tree:
    """Make a tree of about `size` leaves. In a sparse one, indexes are missing."""
    if depth == 0 or size <= 1:
        return Tree()
    width = random.choice([1, 2, 3, size, max(size // 3, 1)])
    indexes = range(1, width + 1)
    if sparse:
        indexes = range(1, random.choice([width + 1, width * 3, 10_000, 2_147_483_647]) + 1)
    picked = sorted({random.choice(indexes) for _ in range(width)}) if sparse else list(indexes)
    deeper = random.random() < 0.7
    return Tree(
        {
            index: make_tree(random, size // width, depth=depth - 1 if deeper else 0, sparse=sparse)
            for index in picked
        }
    )


# --- the script of a job


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


# --- for Hypothesis


class History(NamedTuple):
    """A job's tree and its script."""

    tree: Tree
    script: Script


@st.composite
def histories(draw: st.DrawFn, plans: Sequence[str] = PLANS, *, events_only: bool | None = None) -> History:
    """Draw a job `acme:job` and its script. By default, a job that fails has only events."""
    random = draw(st.randoms(use_true_random=False))
    plan = draw(st.sampled_from(plans))
    only = plan in {"fails", "repaired"} if events_only is None else events_only
    size = draw(st.integers(1, 12))
    tree = make_tree(random, size, depth=draw(st.integers(0, 5)), sparse=draw(st.booleans()))
    return History(tree, make_script(random, "acme:job", tree, plan, events_only=only))


@st.composite
def permutations(draw: st.DrawFn, script: Script) -> list[list[Record]]:
    """Draw a permutation of a whole script, with repetitions, as batches of records with some key."""
    random = draw(st.randoms(use_true_random=False))
    steps = [*script.body, *script.tail]
    steps += draw(st.lists(st.sampled_from(steps), max_size=5)) if steps else []
    steps = draw(st.permutations(steps))
    keys = draw(st.sampled_from([None, b"other"]))
    return cut(random, [record_for(random, *each, key=keys) for each in group(random, steps)], largest=6)


# --- traffic


class Create(NamedTuple):
    """Create a job."""

    partition_id: str
    job_id: str
    options: dict[str, Any]


class Command(NamedTuple):
    """Call the command of that name: cancel, pause, resume, delete, suspend_partition..."""

    verb: str
    arguments: tuple[str, ...]


class Arrive(NamedTuple):
    """Records arrive in this order. The model takes them as one batch."""

    records: list[Record]


class Advance(NamedTuple):
    """Time passes."""

    seconds: float


class Drain(NamedTuple):
    """Wait until everything has been processed and sent. What follows relies on it."""


Action = Create | Command | Arrive | Advance | Drain


def apply(model: NaiveTracker, action: Action) -> list[Outcome]:
    """Do an action to the model. A refused one has no outcome."""
    try:
        match action:
            case Create(partition_id, job_id, options):
                return [model.create_job(partition_id, job_id, **options)]
            case Command(verb, arguments):
                return [getattr(model, verb)(*arguments)]
            case Arrive(records):
                return model.process_batch(records)
            case Advance(seconds):
                return [model.advance(seconds)]
            case Drain():
                return []
    except Refused:
        return []


@dataclass
class PlannedJob:
    """A job of the traffic, and what will happen to it. `runs`: whether the tracker must start it."""

    key: JobKey
    tree: Tree
    plan: str
    prerequisites: list[str]
    runs: bool

    @property
    def name(self) -> str:
        return ":".join(self.key)


class Traffic:
    """Makes the actions of a long test, wave after wave: the same for the same seed and options.

    The jobs of a wave are created before the wave before it runs, and wait for some of its jobs: chains,
    diamonds, fans. If the actions are done in order, and `Drain` waits, then no report arrives on a job that
    has not been sent. Without `wild`, `plans` says how each job ends.
    """

    def __init__(
        self,
        seed: int,
        *,
        jobs: int = 10,
        tasks: int = 50,
        wild: bool = False,
        realistic: bool = False,
        propagate_failures: bool = False,
    ) -> None:
        self.random = Random(seed)
        self.jobs, self.tasks, self.wild, self.realistic = jobs, tasks, wild, realistic
        self.model = NaiveTracker(propagate_failures)
        self.wave = 0
        self.plans: dict[JobKey, PlannedJob] = {}

    def actions(self, messages: int) -> Iterator[Action]:
        """Make actions with about this many records."""
        planned, made = self._plan([]), 0
        yield from self._create(planned)
        while made < messages:
            following = self._plan(planned)
            yield from self._create(following)
            for batch in cut(self.random, self._records(planned), largest=200):
                yield from self._commands(planned)
                records = [record for job, record in batch if job not in self.model.unsent]
                made += len(records)
                yield from self._watched(Arrive(records))
            yield from self._watched(Advance(5))
            yield Drain()
            planned = following

    def _plan(self, before: list[PlannedJob]) -> list[PlannedJob]:
        """Plan the jobs of a wave. One whose prerequisites do not all complete never runs."""
        self.wave += 1
        planned = []
        for number in range(self.jobs):
            partition_id = self.random.choice(["acme", "default", "b\u00fcro 1"])
            candidates = [job for job in before if job.key[0] == partition_id]
            picked = self.random.sample(
                candidates, min(len(candidates), self.random.choice([0, 0, 1, 1, 2, 4]))
            )
            plan = self.random.choice(["completes"] * 12 + ["repaired"] * 2 + ["fails", "unfinished"])
            sparse = plan == "unfinished" and self.random.random() < 0.5
            tree = make_tree(self.random, self.random.randint(1, self.tasks), sparse=sparse)
            runs = all(job.runs and job.plan in {"completes", "repaired"} for job in picked)
            key = (partition_id, f"w{self.wave}-{number}")
            self.plans[key] = PlannedJob(key, tree, plan, [job.key[1] for job in picked], runs)
            planned.append(self.plans[key])
        return planned

    def _create(self, planned: list[PlannedJob]) -> Iterator[Action]:
        for job in planned:
            delay = self.random.choice([0, 0, 3]) if self.wild else 0
            options = {"prerequisites": job.prerequisites, "delay": delay, "name": job.name}
            yield from self._watched(Create(*job.key, options))

    def _records(self, planned: list[PlannedJob]) -> list[tuple[JobKey | None, Record]]:
        """Make the records of a wave: the jobs mixed, each in its order, and noise in between."""
        running = [job for job in planned if job.runs or self.wild]
        scripts = [
            group(self.random, self._order(make_script(self.random, job.name, job.tree, job.plan)))
            for job in running
        ]
        order = [number for number, steps in enumerate(scripts) for _ in steps]
        self.random.shuffle(order)
        upcoming = [iter(steps) for steps in scripts]
        records: list[tuple[JobKey | None, Record]] = []
        for number in order:
            key = self.random.choice([b"", b"\xff", b"acme:other"]) if self._chance(0.1) else None
            record = record_for(self.random, *next(upcoming[number]), realistic=self.realistic, key=key)
            records.append((running[number].key, record))
            if self.random.random() < 0.02:
                records.append((None, self.noise()))
        return records

    def _order(self, script: Script) -> list[Step]:
        """Shuffle the body of a script, and repeat some of it. Wild traffic contradicts it."""
        again = [step for step in script.body if self.random.random() < 0.05]
        steps = [*script.body, *again]
        self.random.shuffle(steps)
        steps += script.tail
        if not self.wild:
            return steps
        for each in [each for each in steps if self.random.random() < 0.02]:
            kind = self.random.choice(["failed", "complete"])
            task = self.random.choice(
                [each.task, each.task + ".1*", each.task + ".2", each.task.rstrip("*") + "*"]
            )
            if ".*" not in task and (task != script.job + "*"):
                steps.append(Step(task, kind, via=self.random.choice(["event", "proxied"])))
        if self.random.random() < 0.5:
            self.random.shuffle(steps)
        return steps

    def noise(self) -> Record:
        """Make a record that changes nothing."""
        chance = self.random.random()
        if chance < 0.5:
            poison = self.random.choice(NOISE)
            return record_of(
                poison.value, key=self.random.choice([None, b"acme:job"]), headers=poison.headers
            )
        if chance < 0.7:
            return record_of(task_message(None, tracking=None, to="worker-in"), key=None)
        if chance < 0.9:
            return record_of(task_message("acme:nobody.1", to="worker-in"), key=b"acme:nobody")
        return record_of(tracking_report(report("acme:nobody.1", "Complete"), report("nobody", "Failed")))

    def _commands(self, planned: list[PlannedJob]) -> Iterator[Action]:
        """Have users act in between, in wild traffic."""
        if not self._chance(0.3):
            return
        job = self.random.choice(planned).key
        verbs = [
            "pause",
            "pause",
            "cancel",
            "delete",
            "suspend_partition",
            "resume_partition",
            "resume_partition",
        ]
        paused = [each.key for each in planned if self.model.status(*each.key) == "Paused"]
        if paused and self.random.random() < 0.5:
            verb, job = "resume", self.random.choice(paused)
        else:
            verb = self.random.choice(verbs)
        yield from self._watched(Command(verb, job[:1] if verb.endswith("_partition") else job))
        yield from self._watched(Advance(self.random.choice([0, 1])))

    def _chance(self, probability: float) -> bool:
        return self.wild and self.random.random() < probability

    def _watched(self, action: Action) -> Iterator[Action]:
        """Do the action to a model of our own, to know which jobs have been sent."""
        if self.wild:
            apply(self.model, action)
        yield action
