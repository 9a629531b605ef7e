"""The jobs of a round, and what happens to each: all of it drawn from one seed, whatever the timing.

A job's `fate` is what is done to it while its messages are under way. What it is told comes as records, all
made beforehand: a body, of which the order does not matter, a tail that ends the job, and what comes too late
and is to be dropped. So that neither the final state nor what is forwarded depends on the timing, which no
seed can replay:

- a job is told of once it has started; a tail is told once the body has been processed where the body has
  other keys (`loose`), or was held;
- prerequisites that may fail, or never complete, are submitted in the same call as their dependents: later
  ones might be refused, or not;
- what is forwarded of a cancelled or deleted job depends on the moment; the checker knows.

Some messages name the run that they belong to, as those of workers do. Some name another one, as if they came
from an earlier job of that ID, and would end the job if they counted. A job that is `reborn` has such an
earlier one: it starts, is told of, and is deleted and submitted again while its messages still come.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

from tests.model.histories import Storm, Told, Tree, group, make_tree, record_for, tell_job
from tests.model.messages import record_of
from tests.model.naive import JobKey
from tests.model.reading import Record

PARTITION_IDS = ("acme", "default", "büro 1")
OTHER_KEYS = (None, b"", b"\xff", b"acme:other", b"k1", b"k2", b"k3")
FATES = ("",) * 12 + ("paused", "paused-early", "paused", "cancelled", "cancelled-early", "deleted", "reborn")
DOOMED = ("cancelled", "cancelled-early", "deleted")
BAD_KINDS = ("value", "key", "headers")
_MOST_BYTES = 1_048_000  # with what Kafka adds, a topic takes it, and a dead letter has more
PRESENT_RUN = b'/status?run=PRESENT"'
"""Stands in a message for the marker of its job's run, which nobody knows before the job has started."""
_EARLIER_RUN = b'/status?run=zzzzzzzzz"'
_NO_RUN = b'/status"'


@dataclass
class Job:
    """A job, and how it is to go. `runs`: whether it is to be started, if all goes right."""

    key: JobKey
    plan: str
    fate: str
    loose: bool
    delay_s: int
    prerequisites: list[str]
    runs: bool
    body: list[Record] = field(default_factory=list)
    tail: list[Record] = field(default_factory=list)
    late: list[Record] = field(default_factory=list)
    successor: "Job | None" = None
    """The job that is submitted under the same ID once this one is deleted."""

    @property
    def name(self) -> str:
        return ":".join(self.key)

    @property
    def completes(self) -> bool:
        """Whether it completes in the end."""
        if self.successor is not None:
            return self.successor.completes
        return self.runs and self.plan in {"completes", "repaired"} and self.fate not in DOOMED

    @property
    def is_sure(self) -> bool:
        """Whether a job of a later call may depend on it: it is never Failed, not even for a moment."""
        if self.successor is not None:
            return self.successor.is_sure
        return self.plan in {"completes", "unfinished"} and self.fate not in DOOMED

    @property
    def waits_to_end(self) -> bool:
        """Whether its tail must not be told before its body has been processed."""
        return self.loose or self.fate.startswith("paused")


class Workload:
    """Makes jobs, wave after wave, and noise."""

    def __init__(self, seed: int, *, jobs: int = 12, tasks: int = 60, propagate: bool = False) -> None:
        self.seed = seed
        self._random = Random(seed)
        self._noise = Storm(seed)
        self._jobs, self._tasks, self._propagate = jobs, tasks, propagate
        self._wave = 0
        self._earlier: list[Job] = []

    def wave(self) -> list[Job]:
        """Plan the jobs of one call; each of them may depend on those before it."""
        self._wave += 1
        made: list[Job] = []
        for number in range(self._jobs):
            made.append(self._plan(f"w{self._wave}-{number}", made))
        self._earlier = [job for job in made if job.is_sure and (job.runs or not self._propagate)]
        return made

    def waves(self, messages: int) -> Iterator[list[Job]]:
        """Plan waves until they have at least so many messages."""
        while messages > 0:
            jobs = self.wave()
            messages -= sum(len(job.body) + len(job.tail) for job in jobs if job.runs)
            yield jobs

    def noise(self) -> Record:
        """Make a record that changes nothing: a bad one, one of no job, one that is not tracked."""
        if self._random.random() < 0.15:
            return self.bad(self._random.choice(("value", "value", "value", *BAD_KINDS)))
        return self._noise._noise()

    def bad(self, kind: str) -> Record:
        """Make a bad record. With a large key or large headers it fits no dead-letter topic whole."""
        number = self._random.getrandbits(40)
        value = b"this is not JSON" + b" %d" % number * 2_000
        if kind == "value":
            return record_of(value, key=b"acme:bad")
        large = b"x" * (_MOST_BYTES - len(value))
        if kind == "key":
            return record_of(value, key=large)
        return record_of(value, key=None, headers=[("large", large)])

    def _plan(self, job_id: str, made: list[Job]) -> Job:
        random = self._random
        partition_id = random.choice(PARTITION_IDS)
        those = [job for job in made + self._earlier if job.key[0] == partition_id]
        picked = random.sample(those, min(len(those), random.choice([0, 0, 1, 1, 2, 4])))
        plans = ["completes"] * 12 + ["fails", "unfinished"] + ([] if self._propagate else ["repaired"] * 2)
        plan = random.choice(plans)
        sparse = plan == "unfinished" and random.random() < 0.5
        tree = make_tree(random, random.randint(1, self._tasks), sparse=sparse)
        if not tree.is_whole and plan != "fails":
            plan = "unfinished"
        job = Job(
            (partition_id, job_id),
            plan,
            # What is propagated past a job that is cancelled or deleted depends on the moment.
            fate=random.choice(FATES) if not self._propagate or all(job.runs for job in picked) else "",
            loose=random.random() < 0.3,
            delay_s=random.choice([0] * 8 + [1, 2]),
            prerequisites=sorted(job.key[1] for job in picked),
            runs=all(job.completes for job in picked),
        )
        job.runs = job.runs and job.fate != "cancelled-early"
        self._tell(job, tree)
        return self._earlier_life(job) if job.fate == "reborn" and job.runs else job

    def _earlier_life(self, job: Job) -> Job:
        """Make the job that `job` replaces: its messages name its run, and none that counts ends it."""
        random = self._random
        earlier = replace(job, fate="deleted", loose=random.random() < 0.3, successor=job)
        kinds = ["complete"] * 3 + ["in-progress"]
        tasks = [Told(f"{job.name}.{n}", random.choice(kinds), via="proxied") for n in range(1, 20)]
        ends = [Told(job.name, kind, via="proxied") for kind in ("complete", "failed")]
        told = {"body": tasks[:12], "tail": [*tasks[12:16], *ends], "late": [*tasks[16:], *ends]}
        for part, those in told.items():
            records = [self._record([each], loose=earlier.loose) for each in random.sample(those, len(those))]
            setattr(earlier, part, [_of_run(record, PRESENT_RUN) for record in records])
        return earlier

    def _tell(self, job: Job, tree: Tree) -> None:
        random = self._random
        story = tell_job(random, job.name, tree, job.plan)
        body = [*story.body, *(told for told in story.body if random.random() < 0.05)]
        random.shuffle(body)
        job.body = [self._record(told, loose=job.loose) for told in group(random, body)]
        for _ in range(random.choice([0, 0, 1, 3])):
            job.body.insert(random.randint(0, len(job.body)), self._stale(job))
        job.tail = [self._record(told, loose=False) for told in group(random, story.tail)]
        if job.plan != "unfinished":
            late = [Told(job.name + ".1", "in-progress", via="proxied")] * random.choice([0, 0, 1, 3])
            job.late = [self._record([told], loose=job.loose) for told in late]

    def _record(self, told: list[Told], *, loose: bool) -> Record:
        key = self._random.choice(OTHER_KEYS) if loose else None
        record = record_for(self._random, *told)
        if self._random.random() < 0.5:
            record = _of_run(record, PRESENT_RUN)
        return record._replace(key=key) if loose else record

    def _stale(self, job: Job) -> Record:
        """Make a message of an earlier job of that ID, which would end this one."""
        kind = self._random.choice(["complete", "failed"])
        record = self._record([Told(job.name, kind, via="proxied")], loose=job.loose)
        return _of_run(record, _EARLIER_RUN)


def _of_run(record: Record, marker: bytes) -> Record:
    """Have a record name the run that it belongs to, if it is a message to a worker."""
    value = (record.value or b"").replace(PRESENT_RUN, _NO_RUN)
    return record._replace(value=value.replace(_NO_RUN, marker))
