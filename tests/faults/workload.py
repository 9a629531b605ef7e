"""The jobs of a round and what happens to each: all drawn from one seed, independent of the timing.

A job's `fate` is what users do to it while its messages are on their way. Its records are all made in
advance: a body in any order, a tail that ends the job, and late ones, which must be dropped. No seed can
replay the timing, so neither the final state nor what is forwarded may depend on it. Therefore:

- A job's records are sent after it has started. Its tail waits until the body has been processed, where the
  body has other keys (`mixed_keys`) or was held.
- A prerequisite that may fail or never complete is submitted in the same call as its dependents: a later
  submit might be refused, or not.
- No record of a call's jobs is sent before users have done what they do early.
- What is forwarded of a cancelled or deleted job depends on the moment. The checker allows for it.

Some messages name the run that they belong to, as those of workers do. Some name another run, as if they came
from an earlier job of that ID; they would end the job if they counted. A job whose fate is `resubmitted` has
such an earlier job: this one starts, and is deleted and submitted again while its messages still arrive.

A job whose fate is `retried` has a run before the planned one. It fails, and a user starts the job again.
Only late messages of the earlier run are on their way then, and each names its run: events, which name none,
would count for the next run, or not. The next run's records are sent after the user's call has returned.

With propagation, the jobs downstream of a retried one fail with its first run, and the retry cascades to
them. So they have no fate of their own, and wait for nothing else that may end without completing.

A job whose fate is `cancelled-cascade` is cancelled with all that wait for it. With propagation, there is
none: the moment would decide which of them a failure finds first. No job of a later call depends on these.

A job whose fate is `briefly-paused` is paused and resumed, by a filter, while its tail is on its way. The
tail has nothing that a paused job holds, and ends the job, paused or not.

A job whose fate is `replayed` ends with a message to a topic of its own that does not exist. A user creates
the topic once the message is a dead letter, and replays it.

Half of the other jobs are changed by a filter that only they match (`in_bulk`), half by their names.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

from tests.faults.topics import late_topic
from tests.support.messages import key_of, record_of, task_message
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
    "cancelled-cascade",
    "cancelled-cascade",
    "deleted",
    "resubmitted",
    "retried",
    "retried",
    "briefly-paused",
    "briefly-paused",
    "replayed",
    "replayed",
    "replayed",
)
CANCELLED_OR_DELETED = ("cancelled", "cancelled-early", "cancelled-cascade", "deleted")
BAD_KINDS = ("value", "key", "headers")
_REPLAYED_WAVES = 12  # no more topics than that: each wave has one such job at most
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
    in_bulk: bool = False
    retried_root: str = ""  # with propagation: the retried job that fails this one, itself or upstream
    is_downstream_of_cancelled: bool = False  # by a cascade
    body: list[Record] = field(default_factory=list)
    tail: list[Record] = field(default_factory=list)
    late: list[Record] = field(default_factory=list)
    successor: "Job | None" = None
    """What has this name after this job is deleted, or after this run is retried."""

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
    def completes_at_once(self) -> bool:
        """Whether it completes, and no failure of another job can delay it."""
        return self.completes and not self.retried_root

    @property
    def never_fails(self) -> bool:
        """Whether it is never Failed, not even for a moment, nor cancelled: later jobs may depend on it."""
        if self.successor is not None:
            return self.successor.never_fails
        may_fail = self.plan not in {"completes", "unfinished"} or self.fate == "retried"
        may_end = self.fate in CANCELLED_OR_DELETED or self.is_downstream_of_cancelled
        return not (may_fail or may_end or self.retried_root)

    @property
    def tail_waits(self) -> bool:
        """Whether its tail must wait until its body has been processed."""
        return self.mixed_keys or self.fate.startswith("paused") or self.fate == "briefly-paused"


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
            made.append(self._plan(f"w{self._wave}-{number:02}", made))  # no ID begins with another
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
        # A cascade shall have a way to go.
        cascading = [job for job in candidates if job.fate == "cancelled-cascade" and job not in picked]
        if cascading and random.random() < 0.7:
            picked.append(random.choice(cascading))
        picked = _of_one_root(picked)
        plans = ["completes"] * 12 + ["fails", "unfinished"] + ([] if self._propagate else ["repaired"] * 2)
        plan = random.choice(plans)
        sparse = plan == "unfinished" and random.random() < 0.5
        tree = make_tree(random, random.randint(1, self._tasks), sparse=sparse)
        if not tree.is_whole and plan != "fails":
            plan = "unfinished"
        job = Job(
            (partition_id, job_id),
            plan,
            fate=self._draw_fate(picked),
            mixed_keys=random.random() < 0.3,
            delay_s=random.choice([0] * 8 + [1, 2]),
            prerequisites=sorted(job.key[1] for job in picked),
            runs=all(job.completes for job in picked),
            in_bulk=random.random() < 0.5,
            retried_root=next((job.retried_root for job in picked if job.retried_root), ""),
            is_downstream_of_cancelled=any(
                job.fate == "cancelled-cascade" or job.is_downstream_of_cancelled for job in picked
            ),
        )
        job.runs = job.runs and job.fate != "cancelled-early"
        if job.fate == "replayed" and not self._may_be_replayed(job, made):
            job.fate = ""
        job.in_bulk = job.in_bulk or job.fate == "briefly-paused"
        self._make_records(job, tree)
        if job.runs and job.fate == "resubmitted":
            return self._earlier_job(job)
        if job.runs and job.fate == "retried":
            job.retried_root = job.name if self._propagate else ""
            return self._failed_run(job)
        return job

    def _draw_fate(self, picked: list[Job]) -> str:
        """Draw a fate for a job with these prerequisites."""
        fate = self._random.choice(FATES)
        if not self._propagate:
            return fate
        # Whether a failure propagates past a cancelled or deleted job depends on the moment.
        may_fail = any(not job.runs or job.retried_root for job in picked)
        return "" if may_fail or fate == "cancelled-cascade" else fate

    def _may_be_replayed(self, job: Job, made: list[Job]) -> bool:
        is_first = not any(other.fate == "replayed" for other in made)
        return job.runs and job.plan == "completes" and is_first and self._wave <= _REPLAYED_WAVES

    def _earlier_job(self, job: Job) -> Job:
        """Make the job that `job` replaces. Its messages name its run, and none that counts ends it."""
        random = self._random
        earlier = replace(job, fate="deleted", mixed_keys=random.random() < 0.3, successor=job)
        tasks, ends = self._tasks_of(job, 19), _ends_of(job)
        earlier.body = self._of_present_run(earlier, tasks[:12])
        earlier.tail = self._of_present_run(earlier, [*tasks[12:16], *ends])
        earlier.late = self._of_present_run(earlier, [*tasks[16:], *ends])
        return earlier

    def _failed_run(self, job: Job) -> Job:
        """Make the run before that of `job`. It fails. Its late messages name it, and would end the next."""
        random = self._random
        earlier = replace(job, plan="fails", fate="failed", mixed_keys=random.random() < 0.3, successor=job)
        self._make_records(earlier, make_tree(random, random.randint(1, self._tasks)))
        earlier.late = self._of_present_run(earlier, [*self._tasks_of(job, 3), *_ends_of(job)])
        return earlier

    def _tasks_of(self, job: Job, count: int) -> list[Step]:
        kinds = ["complete"] * 3 + ["in-progress"]
        numbers = range(1, count + 1)
        return [Step(f"{job.name}.{n}", self._random.choice(kinds), via="proxied") for n in numbers]

    def _of_present_run(self, job: Job, steps: list[Step]) -> list[Record]:
        """Make messages in any order, all of which name the job's run."""
        shuffled = self._random.sample(steps, len(steps))
        records = [self._record([step], mixed_keys=job.mixed_keys) for step in shuffled]
        return [_of_run(record, PRESENT_RUN) for record in records]

    def _make_records(self, job: Job, tree: Tree) -> None:
        random = self._random
        script = make_script(random, job.name, tree, job.plan)
        body = [*script.body, *(step for step in script.body if random.random() < 0.05)]
        random.shuffle(body)
        job.body = [self._record(steps, mixed_keys=job.mixed_keys) for steps in group(random, body)]
        for _ in range(random.choice([0, 0, 1, 3])):
            job.body.insert(random.randint(0, len(job.body)), self._stale(job))
        job.tail = [self._record(steps, mixed_keys=False) for steps in group(random, script.tail)]
        if job.fate == "replayed":
            job.tail = [_to_topic(late_topic(job.key[1]), step.task) for step in script.tail]
        elif job.plan != "unfinished":
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


def _to_topic(topic: str, task: str) -> Record:
    """Make a message to a topic where the tracking of its task ends."""
    return _of_run(record_of(task_message(task, to=topic, track_to=topic), key=key_of(task)), PRESENT_RUN)


def _of_one_root(picked: list[Job]) -> list[Job]:
    """Return those prerequisites that a retry of their retried root starts again, and that then complete."""
    roots = [job.retried_root for job in picked if job.retried_root]
    return [job for job in picked if not roots or job.retried_root == roots[0] or job.completes_at_once]


def _ends_of(job: Job) -> list[Step]:
    """Make the steps that end a job, whatever was reported before."""
    return [Step(job.name, kind, via="proxied") for kind in ("complete", "failed")]


def _of_run(record: Record, marker: bytes) -> Record:
    """Make a record name the run that it belongs to, if it is a message to a worker."""
    value = (record.value or b"").replace(PRESENT_RUN, _NO_RUN)
    return record._replace(value=value.replace(_NO_RUN, marker))
