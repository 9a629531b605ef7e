"""The jobs of a round and what happens to each: all drawn from one seed, independent of the timing.

A job's `fate` is what users do to it while its messages are on their way. Its records are all made in
advance: a body in any order, a tail that ends the job, and late ones, which must be dropped. No seed can
replay the timing, so neither the final state nor what is forwarded may depend on it. Therefore:

- A job's records are sent after it has started. Its tail waits until the body has been processed, where the
  body has other keys (`mixed_keys`) or was held.
- A prerequisite that may fail or never complete is submitted in the same call as its dependents: a later
  submit might be refused, or not.
- What is forwarded of a cancelled or deleted job depends on the moment. The checker allows for it.

Some messages name the run that they belong to, as those of workers do. Some name another run, as if they came
from an earlier job of that ID; they would end the job if they counted. A job whose fate is `resubmitted` has
such an earlier job: this one starts, and is deleted and submitted again while its messages still arrive.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

from tests.support.messages import record_of
from tests.support.model.outcomes import JobKey
from tests.support.model.scripts import Step, group, make_script, record_for
from tests.support.model.task_trees import Tree, make_tree
from tests.support.model.traffic import Traffic
from tests.support.records import Record

PARTITION_IDS = ("acme", "default", "büro 1")
OTHER_KEYS = (None, b"", b"\xff", b"acme:other", b"k1", b"k2", b"k3")
FATES = ("",) * 12 + (
    "paused",
    "paused-early",
    "paused",
    "cancelled",
    "cancelled-early",
    "deleted",
    "resubmitted",
)
CANCELLED_OR_DELETED = ("cancelled", "cancelled-early", "deleted")
BAD_KINDS = ("value", "key", "headers")
_MAX_BYTES = 1_048_000  # with Kafka's overhead it fits a topic, and its dead letter does not
PRESENT_RUN = b'/status?run=PRESENT"'
"""Stands in a message for the marker of its job's run, which is unknown until the job has started."""
_EARLIER_RUN = b'/status?run=zzzzzzzzz"'
_NO_RUN = b'/status"'


@dataclass
class Job:
    """A job, and what will happen to it. `runs`: whether the tracker must start it."""

    key: JobKey
    plan: str
    fate: str
    mixed_keys: bool
    delay_s: int
    prerequisites: list[str]
    runs: bool
    body: list[Record] = field(default_factory=list)
    tail: list[Record] = field(default_factory=list)
    late: list[Record] = field(default_factory=list)
    successor: "Job | None" = None
    """The job that is submitted under the same ID after this one is deleted."""

    @property
    def name(self) -> str:
        return ":".join(self.key)

    @property
    def completes(self) -> bool:
        """Whether it completes."""
        if self.successor is not None:
            return self.successor.completes
        return self.runs and self.plan in {"completes", "repaired"} and self.fate not in CANCELLED_OR_DELETED

    @property
    def never_fails(self) -> bool:
        """Whether it is never Failed, not even for a moment: then jobs of later calls may depend on it."""
        if self.successor is not None:
            return self.successor.never_fails
        return self.plan in {"completes", "unfinished"} and self.fate not in CANCELLED_OR_DELETED

    @property
    def tail_waits(self) -> bool:
        """Whether its tail must wait until its body has been processed."""
        return self.mixed_keys or self.fate.startswith("paused")


class Workload:
    """Makes jobs, wave after wave, and records that change nothing (noise)."""

    def __init__(self, seed: int, *, jobs: int = 12, tasks: int = 60, propagate: bool = False) -> None:
        self.seed = seed
        self._random = Random(seed)
        self._traffic = Traffic(seed)
        self._jobs, self._tasks, self._propagate = jobs, tasks, propagate
        self._wave = 0
        self._earlier: list[Job] = []

    def wave(self) -> list[Job]:
        """Plan the jobs of one call. Each may depend on those before it."""
        self._wave += 1
        made: list[Job] = []
        for number in range(self._jobs):
            made.append(self._plan(f"w{self._wave}-{number}", made))
        self._earlier = [job for job in made if job.never_fails and (job.runs or not self._propagate)]
        return made

    def waves(self, messages: int) -> Iterator[list[Job]]:
        """Plan waves until they have at least this many messages."""
        while messages > 0:
            jobs = self.wave()
            messages -= sum(len(job.body) + len(job.tail) for job in jobs if job.runs)
            yield jobs

    def noise(self) -> Record:
        """Make a record that changes nothing: a bad one, one of no job, one that is not tracked."""
        if self._random.random() < 0.15:
            return self.bad(self._random.choice(("value", "value", "value", *BAD_KINDS)))
        return self._traffic.noise()

    def bad(self, kind: str) -> Record:
        """Make a bad record. With a large key or headers, its dead letter does not fit its topic uncut."""
        number = self._random.getrandbits(40)
        value = b"this is not JSON" + b" %d" % number * 2_000
        if kind == "value":
            return record_of(value, key=b"acme:bad")
        large = b"x" * (_MAX_BYTES - len(value))
        if kind == "key":
            return record_of(value, key=large)
        return record_of(value, key=None, headers=[("large", large)])

    def _plan(self, job_id: str, made: list[Job]) -> Job:
        random = self._random
        partition_id = random.choice(PARTITION_IDS)
        candidates = [job for job in made + self._earlier if job.key[0] == partition_id]
        picked = random.sample(candidates, min(len(candidates), random.choice([0, 0, 1, 1, 2, 4])))
        plans = ["completes"] * 12 + ["fails", "unfinished"] + ([] if self._propagate else ["repaired"] * 2)
        plan = random.choice(plans)
        sparse = plan == "unfinished" and random.random() < 0.5
        tree = make_tree(random, random.randint(1, self._tasks), sparse=sparse)
        if not tree.is_whole and plan != "fails":
            plan = "unfinished"
        job = Job(
            (partition_id, job_id),
            plan,
            # Whether a failure propagates past a cancelled or deleted job depends on the moment.
            fate=random.choice(FATES) if not self._propagate or all(job.runs for job in picked) else "",
            mixed_keys=random.random() < 0.3,
            delay_s=random.choice([0] * 8 + [1, 2]),
            prerequisites=sorted(job.key[1] for job in picked),
            runs=all(job.completes for job in picked),
        )
        job.runs = job.runs and job.fate != "cancelled-early"
        self._make_records(job, tree)
        return self._earlier_job(job) if job.fate == "resubmitted" and job.runs else job

    def _earlier_job(self, job: Job) -> Job:
        """Make the job that `job` replaces. Its messages name its run, and none that counts ends it."""
        random = self._random
        earlier = replace(job, fate="deleted", mixed_keys=random.random() < 0.3, successor=job)
        kinds = ["complete"] * 3 + ["in-progress"]
        tasks = [Step(f"{job.name}.{n}", random.choice(kinds), via="proxied") for n in range(1, 20)]
        ends = [Step(job.name, kind, via="proxied") for kind in ("complete", "failed")]
        parts = {"body": tasks[:12], "tail": [*tasks[12:16], *ends], "late": [*tasks[16:], *ends]}
        for part, steps in parts.items():
            shuffled = random.sample(steps, len(steps))
            records = [self._record([step], mixed_keys=earlier.mixed_keys) for step in shuffled]
            setattr(earlier, part, [_of_run(record, PRESENT_RUN) for record in records])
        return earlier

    def _make_records(self, job: Job, tree: Tree) -> None:
        random = self._random
        script = make_script(random, job.name, tree, job.plan)
        body = [*script.body, *(step for step in script.body if random.random() < 0.05)]
        random.shuffle(body)
        job.body = [self._record(steps, mixed_keys=job.mixed_keys) for steps in group(random, body)]
        for _ in range(random.choice([0, 0, 1, 3])):
            job.body.insert(random.randint(0, len(job.body)), self._stale(job))
        job.tail = [self._record(steps, mixed_keys=False) for steps in group(random, script.tail)]
        if job.plan != "unfinished":
            late = [Step(job.name + ".1", "in-progress", via="proxied")] * random.choice([0, 0, 1, 3])
            job.late = [self._record([step], mixed_keys=job.mixed_keys) for step in late]

    def _record(self, steps: list[Step], *, mixed_keys: bool) -> Record:
        key = self._random.choice(OTHER_KEYS) if mixed_keys else None
        record = record_for(self._random, *steps)
        if self._random.random() < 0.5:
            record = _of_run(record, PRESENT_RUN)
        return record._replace(key=key) if mixed_keys else record

    def _stale(self, job: Job) -> Record:
        """Make a message of an earlier job of that ID. It would end this job if it counted."""
        kind = self._random.choice(["complete", "failed"])
        record = self._record([Step(job.name, kind, via="proxied")], mixed_keys=job.mixed_keys)
        return _of_run(record, _EARLIER_RUN)


def _of_run(record: Record, marker: bytes) -> Record:
    """Make a record name the run that it belongs to, if it is a message to a worker."""
    value = (record.value or b"").replace(PRESENT_RUN, _NO_RUN)
    return record._replace(value=value.replace(_NO_RUN, marker))
