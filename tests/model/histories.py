"""Histories to try a tracker with: trees of tasks, what is told of them, in what order, in which batches.

Everything is drawn from a `random.Random`. Hypothesis hands one in that it can replay and shrink
(`histories`), long runs one with a printed seed (`storm`). A history is a list of steps; `apply` does one to
the naive model, and whoever tests something else does the same to that.

What is told of one job comes as a `Story`: a body, of which the order does not matter, and a tail that ends
the job and comes after it, in order. Told so, with a job's messages on one Kafka partition, neither the final
state nor what is forwarded depends on how it is cut into batches. A `wild` storm keeps to none of this: it
is for tests that give both sides the same batches.

The noise of a storm holds bad records, which are judged by a tracker with the default settings.
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
    """A task and its subtasks."""

    children: "dict[int, Tree]" = field(default_factory=dict)

    @property
    def last(self) -> int:
        return max(self.children)

    @property
    def is_whole(self) -> bool:
        """Tell whether no index is left out, anywhere."""
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
    """Make a tree of about so many leaves; a sparse one leaves indexes out."""
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


# --- what is told of one job


class Told(NamedTuple):
    """One thing that is told of a task. `kind`: complete, failed, progress, in-progress, retry."""

    task: str
    kind: str
    percentage: float = 0
    via: str = "event"


@dataclass
class Story:
    """What is told of one job: the body in any order, then the tail."""

    job: str
    plan: str
    body: list[Told]
    tail: list[Told]


def tell_job(random: Random, job: str, tree: Tree, plan: str, *, events_only: bool = False) -> Story:
    """Tell of a job that completes, fails, fails and is repaired, or stays unfinished; no contradictions.

    A tree that leaves indexes out can only fail or stay unfinished.
    """
    if plan in {"completes", "repaired"} and not tree.is_whole:
        plan = "unfinished"
    leaves = tree.leaves()
    random.shuffle(leaves)
    held_back = leaves[: 1 if plan == "completes" else random.randint(1, min(3, len(leaves)))]
    body = [
        Told(written, "complete", via=pick_via(random, events_only))
        for leaf in leaves[len(held_back) :]
        if plan != "unfinished" or random.random() < 0.9
        for written in write_leaf(random, job, tree, leaf)
    ]
    for path in tree.paths():
        body += tell_extra(random, job, tree, path, held_back)
    if events_only:
        body = [told for told in body if told.kind not in {"in-progress", "retry"}]
    random.shuffle(body)
    return Story(job, plan, body, tell_tail(random, job, tree, held_back, plan))


def tell_tail(random: Random, job: str, tree: Tree, held_back: list[Path], plan: str) -> list[Told]:
    """Tell how the job ends."""
    names = [write(job, tree, path) for path in held_back]
    via = pick_via(random, events_only=plan != "completes")
    done = [Told(name, "complete", via=via) for name in names]
    failed = [Told(name, "failed") for name in names]
    return {"completes": done, "fails": failed, "repaired": failed + done, "unfinished": []}[plan]


def tell_extra(random: Random, job: str, tree: Tree, path: Path, held_back: list[Path]) -> Iterator[Told]:
    """Tell what changes little: progress, retries, and now and then a parent that completes outright."""
    name = write(job, tree, path, random)
    chance = random.random()
    if chance < 0.15:
        percentage = random.choice([0, 100, 99.95, 1e-7, random.randint(0, 100), random.uniform(0, 100)])
        yield Told(name, "progress", percentage, random.choice(["event", "progress-event"]))
    elif chance < 0.3:
        yield Told(name, random.choice(["in-progress", "in-progress", "retry"]), via="proxied")
    elif chance < 0.33 and path and not any(leaf[: len(path)] == path for leaf in held_back):
        yield Told(name, "complete")


def write_leaf(random: Random, job: str, tree: Tree, leaf: Path) -> Iterator[str]:
    """Name a leaf once or more; at least one name has the marks that only it is sure to bring."""
    if random.random() < 0.2:
        yield write(job, tree, leaf, random)
    yield write(job, tree, leaf)
    if random.random() < 0.1:
        yield write(job, tree, leaf, random)


def write(job: str, tree: Tree, path: Path, random: Random | None = None) -> str:
    """Write a `jobTaskId`: with every mark that is due, or with some of them where chance decides."""
    text = job
    for at, index in enumerate(path):
        marked = tree.at(path[:at]).last == index and (random is None or random.random() < 0.5)
        text += f".{index}{'*' * marked}"
    return text


def pick_via(random: Random, events_only: bool) -> str:
    return "event" if events_only or random.random() < 0.3 else "proxied"


# --- records


def record_for(random: Random, *told: Told, realistic: bool = False, key: bytes | None = None) -> Record:
    """Make the record that tells it; an event may tell several things."""
    key = key_of(told[0].task) if key is None else key
    headers: list[tuple[str, bytes | None]] = []
    if random.random() < 0.2:
        headers.append(("traceparent", b"00-%032x-01" % random.getrandbits(64)))
    first = told[0]
    if first.via == "proxied":
        value, more = proxied(random, first, realistic=realistic)
        return record_of(value, key=key, headers=[*headers, *more])
    if first.via == "progress-event":
        return record_of(progress_event(first.task, first.percentage), key=key, headers=headers)
    to = "TRACKING" if random.random() < 0.05 else "tracking"
    return record_of(tracking_report(*map(report_of, told), to=to), key=key, headers=headers)


def report_of(told: Told) -> dict[str, Any]:
    """Make the report in an event that tells it."""
    if told.kind == "failed":
        return report(told.task, "Failed", failure=failure(f"{told.task} broke"))
    if told.kind == "progress":
        return report(told.task, "Progress", told.percentage)
    return report(told.task, told.kind.capitalize())


def group(random: Random, told: Sequence[Told]) -> list[list[Told]]:
    """Put some events together that follow each other."""
    groups: list[list[Told]] = []
    for each in told:
        if groups and groups[-1][-1].via == each.via == "event" and random.random() < 0.3:
            groups[-1].append(each)
        else:
            groups.append([each])
    return groups


def proxied(random: Random, told: Told, *, realistic: bool) -> tuple[bytes, list[tuple[str, bytes | None]]]:
    """Make the message to a worker that tells it, and the headers that it takes."""
    number = random.getrandbits(40)
    fields: dict[str, Any] = {"taskId": f"{number:x}", "correlationId": f"c-{number}", "realistic": realistic}
    if told.kind == "complete":
        status = random.choice(["NEW_TASK", "RESULT_SUCCESS", "RESULT_FAILURE"])
        ends = random.choice([("worker-out", "worker-out"), ("worker-out", "WORKER-out"), (None, None)])
        return task_message(told.task, to=ends[0], track_to=ends[1], status=status, **fields), []
    if told.kind == "in-progress":
        track_to = random.choice(["worker-out", None])
        return task_message(told.task, to="worker-in", track_to=track_to, **fields), []
    if told.kind == "retry":
        unknown = random.choice([None, "RESULT_MAYBE"])
        return task_message(told.task, to="worker-in", status=unknown, **fields), []
    how = random.choice(["RESULT_EXCEPTION", "INVALID_TASK", None])
    to = random.choice(["worker-in", "worker-out", None])
    value = task_message(told.task, to=to, status=how, task_data=f"{told.task} broke".encode(), **fields)
    rejected: list[tuple[str, bytes | None]] = [
        ("x-caf-worker-rejected", b"too often"),
        ("x-caf-worker-retry", b"3"),
    ]
    return value, rejected if how is None else []


def cut(random: Random, records: Sequence[T], *, largest: int = 50) -> list[list[T]]:
    """Cut records into batches."""
    ends = [0]
    while ends[-1] < len(records):
        ends.append(ends[-1] + random.choice([1, 2, random.randint(1, largest)]))
    return [list(records[first:end]) for first, end in pairwise(ends)]


# --- for Hypothesis


class History(NamedTuple):
    """A job and what is told of it."""

    tree: Tree
    story: Story


@st.composite
def histories(draw: st.DrawFn, plans: Sequence[str] = PLANS, *, events_only: bool | None = None) -> History:
    """Draw a job `acme:job` and its story. One that fails tells of it in events, unless told otherwise."""
    random = draw(st.randoms(use_true_random=False))
    plan = draw(st.sampled_from(plans))
    only = plan in {"fails", "repaired"} if events_only is None else events_only
    size = draw(st.integers(1, 12))
    tree = make_tree(random, size, depth=draw(st.integers(0, 5)), sparse=draw(st.booleans()))
    return History(tree, tell_job(random, "acme:job", tree, plan, events_only=only))


@st.composite
def retellings(draw: st.DrawFn, story: Story) -> list[list[Record]]:
    """Draw another order of a story, with repetitions, keys and batches of its own. The whole is shuffled."""
    random = draw(st.randoms(use_true_random=False))
    told = [*story.body, *story.tail]
    told += draw(st.lists(st.sampled_from(told), max_size=5)) if told else []
    told = draw(st.permutations(told))
    keys = draw(st.sampled_from([None, b"other"]))
    return cut(random, [record_for(random, *each, key=keys) for each in group(random, told)], largest=6)


# --- long runs


class Create(NamedTuple):
    """Create a job."""

    partition_id: str
    job_id: str
    options: dict[str, Any]


class Command(NamedTuple):
    """Call the tracker's command of that name: cancel, pause, resume, delete, suspend_partition..."""

    verb: str
    arguments: tuple[str, ...]


class Arrive(NamedTuple):
    """Records arrive, and are one batch (for a real tracker, in this order)."""

    records: list[Record]


class Advance(NamedTuple):
    """Time passes."""

    seconds: float


class Drain(NamedTuple):
    """Wait until everything has been processed and sent: what comes next is only then sound."""


Step = Create | Command | Arrive | Advance | Drain


def apply(model: NaiveTracker, step: Step) -> list[Outcome]:
    """Do a step to the model. What is refused has no outcome."""
    try:
        match step:
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
class Planned:
    """A job of a storm, and how it is to go."""

    key: JobKey
    tree: Tree
    plan: str
    prerequisites: list[str]
    runs: bool

    @property
    def name(self) -> str:
        return ":".join(self.key)


class Storm:
    """Makes the steps of a long run, wave after wave.

    A wave's jobs are created while the wave before has yet to run, and wait for some of its jobs: chains,
    diamonds, fans. Nothing is told of a job that has not been sent, if the steps are done in order and
    `Drain` is heeded. Where `wild` is not set, `plans` says what becomes of each job.
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
        self.plans: dict[JobKey, Planned] = {}

    def steps(self, messages: int) -> Iterator[Step]:
        """Make steps with about so many records."""
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

    def _plan(self, before: list[Planned]) -> list[Planned]:
        """Plan the jobs of a wave. One whose prerequisites do not all complete never runs."""
        self.wave += 1
        planned = []
        for number in range(self.jobs):
            partition_id = self.random.choice(["acme", "default", "b\u00fcro 1"])
            those = [job for job in before if job.key[0] == partition_id]
            picked = self.random.sample(those, min(len(those), self.random.choice([0, 0, 1, 1, 2, 4])))
            plan = self.random.choice(["completes"] * 12 + ["repaired"] * 2 + ["fails", "unfinished"])
            sparse = plan == "unfinished" and self.random.random() < 0.5
            tree = make_tree(self.random, self.random.randint(1, self.tasks), sparse=sparse)
            runs = all(job.runs and job.plan in {"completes", "repaired"} for job in picked)
            key = (partition_id, f"w{self.wave}-{number}")
            self.plans[key] = Planned(key, tree, plan, [job.key[1] for job in picked], runs)
            planned.append(self.plans[key])
        return planned

    def _create(self, planned: list[Planned]) -> Iterator[Step]:
        for job in planned:
            delay = self.random.choice([0, 0, 3]) if self.wild else 0
            options = {"prerequisites": job.prerequisites, "delay": delay, "name": job.name}
            yield from self._watched(Create(*job.key, options))

    def _records(self, planned: list[Planned]) -> list[tuple[JobKey | None, Record]]:
        """Tell of a wave's jobs, all mixed up, each in its order."""
        running = [job for job in planned if job.runs or self.wild]
        tellings = [
            group(self.random, self._order(tell_job(self.random, job.name, job.tree, job.plan)))
            for job in running
        ]
        turns = [number for number, told in enumerate(tellings) for _ in told]
        self.random.shuffle(turns)
        upcoming = [iter(told) for told in tellings]
        records: list[tuple[JobKey | None, Record]] = []
        for turn in turns:
            key = self.random.choice([b"", b"\xff", b"acme:other"]) if self._chance(0.1) else None
            record = record_for(self.random, *next(upcoming[turn]), realistic=self.realistic, key=key)
            records.append((running[turn].key, record))
            if self.random.random() < 0.02:
                records.append((None, self._noise()))
        return records

    def _order(self, story: Story) -> list[Told]:
        """Put a story in order, repeat some of it; in a wild storm, contradict it."""
        again = [told for told in story.body if self.random.random() < 0.05]
        told = [*story.body, *again]
        self.random.shuffle(told)
        told += story.tail
        if not self.wild:
            return told
        for each in [each for each in told if self.random.random() < 0.02]:
            kind = self.random.choice(["failed", "complete"])
            task = self.random.choice(
                [each.task, each.task + ".1*", each.task + ".2", each.task.rstrip("*") + "*"]
            )
            if ".*" not in task and (task != story.job + "*"):
                told.append(Told(task, kind, via=self.random.choice(["event", "proxied"])))
        if self.random.random() < 0.5:
            self.random.shuffle(told)
        return told

    def _noise(self) -> Record:
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

    def _commands(self, planned: list[Planned]) -> Iterator[Step]:
        """Meddle, in a wild storm."""
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

    def _watched(self, step: Step) -> Iterator[Step]:
        """Do the step to a model of our own, to know who has been sent."""
        if self.wild:
            apply(self.model, step)
        yield step


def storm(seed: int, messages: int, **options: Any) -> Iterator[Step]:
    """Make a long run of about so many records: the same for the same seed and options (those of `Storm`)."""
    return Storm(seed, **options).steps(messages)
