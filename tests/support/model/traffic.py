"""The traffic of many jobs: they are created, report, and users act on them; drawn from a printed seed.

`wild` traffic keeps none of the rules of scripts: it is for tests that give both sides the same batches. The
noise contains bad records, as a tracker with the default settings judges them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

from tests.support.messages import record_of, report, task_message, tracking_report
from tests.support.model.naive import NaiveTracker
from tests.support.model.outcomes import JobKey, Outcome, Refused
from tests.support.model.poison import POISON
from tests.support.model.scripts import Script, Step, cut, group, make_script, record_for
from tests.support.model.task_trees import Tree, make_tree
from tests.support.records import Record

NOISE = [
    poison
    for poison in POISON
    if len(poison.value or b"") < 10_000
    and poison.reason != "destination-unknown"
    and "another tracking topic" not in poison.name
]


class Create(NamedTuple):
    """Create a job."""

    partition_id: str
    job_id: str
    options: dict[str, Any]


class Command(NamedTuple):
    """Call the command of that name: cancel, pause, resume, retry, delete, suspend_partition..."""

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
        failed = [each.key for each in planned if self.model.status(*each.key) == "Failed"]
        if paused and self.random.random() < 0.5:
            verb, job = "resume", self.random.choice(paused)
        elif failed and self.random.random() < 0.2:
            verb, job = "retry", self.random.choice(failed)
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
