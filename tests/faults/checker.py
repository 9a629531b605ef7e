"""Checks all invariants of a round that is at rest.

The naive model replays the records of the tracking topic in the order in which they were sent, and what users
did in between. Where the moment of a cancel or delete decides, the checker allows each possible outcome.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from tests.faults import dead_letters
from tests.faults.player import NUMBER, UserAction
from tests.faults.round import Round
from tests.faults.topics import late_topic
from tests.faults.workload import CANCELLED_OR_DELETED, Job
from tests.support import invariants
from tests.support.kafka import Received
from tests.support.model.jobs import ENDED, gaps
from tests.support.model.jobs import Job as ModelJob
from tests.support.model.naive import NaiveTracker
from tests.support.model.outcomes import Outcome, Refused
from tests.support.records import Record
from tests.support.stored_tasks import children_in, stored_tasks

STATUSES = ("Waiting", "Active", "Paused", "Failed", "Cancelled", "Completed")

JOBS = """
    SELECT partition_id, job_id, status, percentage, attempt FROM job JOIN tenant USING (tenant_key)
"""
FAILURES = """
    SELECT partition_id, job_id, path, failure_id, failure_source, failure_message
    FROM task_failure JOIN job USING (tenant_key, job_key) JOIN tenant USING (tenant_key)
"""
UNMET = """
    SELECT partition_id, job_id, prerequisite_job_id
    FROM prerequisite JOIN job USING (tenant_key, job_key) JOIN tenant USING (tenant_key)
"""
TASKS = """
    SELECT partition_id, job_id, path, tasks
    FROM sibling_tasks JOIN job USING (tenant_key, job_key) JOIN tenant USING (tenant_key)
"""
BLOCKS = """
    SELECT partition_id, job_id, path, block, completed
    FROM task_block JOIN job USING (tenant_key, job_key) JOIN tenant USING (tenant_key)
"""


def check(a_round: Round) -> None:
    """Fail with the seed and the first problems unless all invariants hold. The round must be at rest."""
    problems = [*a_round.problems, *problems_at_rest(a_round)]
    if problems:
        raise a_round.failure("at rest", problems)


def problems_at_rest(a_round: Round) -> list[str]:
    """Return a sentence for each problem of a round that is at rest."""
    found: list[str] = []
    try:
        invariants.check_at_rest(a_round.deployment)
    except AssertionError as error:
        found.append(f"the database contradicts itself or Kafka: {error}")
    return found + list(Checker(a_round).problems())


class Checker:
    """Compares a round with what the naive model makes of it."""

    def __init__(self, a_round: Round) -> None:
        self._round = a_round
        self._topics = a_round.topics
        kafka = a_round.deployment.kafka
        self.sent: dict[int, Received] = {}
        self.replays: dict[int, list[Received]] = defaultdict(list)  # the same records, sent again by a user
        for record in kafka.read(self._topics.tracking):
            if self.sent.setdefault(number_of(record), record) is not record:
                self.replays[number_of(record)].append(record)
        topics = self._topics.work, self._topics.results, self._topics.dead_letters
        self.received = kafka.read(*topics, *a_round.late_topics)
        self.outcomes: dict[int, Outcome] = {}
        self.outcomes_of_replays: dict[int, Outcome] = {}
        self._unsound: list[str] = []
        self.model = NaiveTracker(
            a_round.propagate,
            [self._topics.tracking],
            dead_letter_topic=self._topics.dead_letters,
            known_topics=[self._topics.work, self._topics.results],
            marker_of=self._marker_of,
        )
        self._markers = {name: list(markers) for name, markers in a_round.player.markers.items()}
        actions = a_round.user_actions
        self._resubmitted_at = {
            each.job.name: each.before for each in actions if each.job.fate == "resubmitted"
        }
        self._ended_at = {each.job.name: each.before for each in actions if each.verb in _ENDING}
        self._replay()

    def problems(self) -> Iterator[str]:
        """Yield a sentence for each problem."""
        yield from self._unsound
        yield from self._reader_differs()
        yield from self._forwards_differ()
        yield from self._dead_letters_differ()
        yield from self._replays_differ()
        yield from self._starts_differ()
        yield from self._order_differs()
        yield from self._jobs_differ()
        yield from self._tasks_differ()
        yield from self._deadlocks()

    # The model

    def _replay(self) -> None:
        actions = sorted(self._round.user_actions, key=lambda action: action.before)
        for number, record in sorted(self.sent.items()):
            while actions and actions[0].before <= number:
                self._do(actions.pop(0))
            self.outcomes[number] = self._process(record)
        for action in actions:
            self._do(action)
        self.model.advance(1_000_000)

    def _do(self, action: UserAction) -> None:
        job = action.job
        try:
            if action.verb == "create":
                self.model.create_job(
                    *job.key,
                    name=job.name,
                    prerequisites=job.prerequisites,
                    delay=job.delay_s,
                    task_pipe=self._topics.work,
                    target_pipe=self._topics.results,
                )
            elif action.verb == "resume":
                self.model.pause(*job.key)
                self.model.resume(*job.key)
            elif action.verb == "replay":
                self._replay_letter(job)
            elif action.cascade:
                getattr(self.model, action.verb)(*job.key, cascade=True)
            else:
                getattr(self.model, action.verb)(*job.key)
        except Refused:
            pass  # the paused job failed before it was resumed

    def _replay_letter(self, job: Job) -> None:
        """Process the replay of a job's record after the last of its refusals."""
        self.model.add_topic(late_topic(job.key[1]) + self._round.suffix)
        for number, records in self.replays.items():
            if self.job_of(records[-1]) is job:
                self.outcomes_of_replays[number] = self._process(records[-1])

    def outcome_of(self, number: int) -> Outcome:
        """Return what becomes of a record in the end."""
        return self.outcomes_of_replays.get(number, self.outcomes[number])

    def last_sent(self, number: int) -> Received:
        """Return a record, or its last replay."""
        return self.replays[number][-1] if number in self.replays else self.sent[number]

    def _marker_of(self, job: ModelJob) -> str:
        """Return the marker of the next run of a job; none if the job was not started."""
        markers = self._markers.get(job.name)
        return markers.pop(0) if markers else ""

    def _process(self, record: Received) -> Outcome:
        # Not each time: it looks through all unsent jobs, thousands at the end of a round.
        if self.model.last_eligible_s > self.model.now_s:
            self.model.advance(1_000)  # a job's records are sent after it has started, so its delay is over
        job = self.job_of(record)
        if job is not None and job.key in self.model.unsent:
            self._unsound.append(f"{job.name} was started before its prerequisites had completed")
        return self.model.process(Record(record.topic, record.key, record.value, record.headers))

    def job_of(self, record: Received) -> Job | None:
        """Return the job that a proxied record belongs to, if any."""
        try:
            task = str(record.task)
        except (ValueError, TypeError, KeyError, RecursionError):
            return None  # a bad record
        return self._round.jobs.get(task.partition(".")[0] if ":" in task else "default:" + task)

    def may_be_dropped(self, job: Job, number: int) -> bool:
        """Return whether the moment of a cancel or delete decides if the record is forwarded."""
        return job.fate in CANCELLED_OR_DELETED or number < self._resubmitted_at.get(job.name, 0)

    def job_named(self, name: str) -> Job:
        """Return a job of the round."""
        return self._round.jobs[name]

    # What was sent

    def forwarded(self) -> set[int]:
        """Return the numbers of the records that arrived at a destination."""
        return {number_of(each) for each in self.received if each.topic != self._topics.dead_letters}

    def starts(self) -> dict[str, list[dict[str, Any]]]:
        """Return the messages that started each job, in order."""
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for record in self.received:
            if _is_start(record, self._topics.dead_letters):
                found[record.task].append(record.json)
        return found

    def _reader_differs(self) -> Iterator[str]:
        before = sorted(self._round.reader.received, key=_position)
        now = sorted(self.received, key=_position)
        if before != now:
            yield (
                f"the reader of the round saw {len(before)} records, and now there are {len(now)}:"
                f" {_first_difference(before, now)}"
            )

    def _forwards_differ(self) -> Iterator[str]:
        found: dict[int, list[Received]] = defaultdict(list)
        for record in self.received:
            if record.topic != self._topics.dead_letters and record.header(NUMBER) is not None:
                found[number_of(record)].append(record)
        stopped: set[tuple[str, int]] = set()
        for number in self.outcomes:
            outcome = self.outcome_of(number)
            got = [(each.topic, each.key, each.value, each.headers) for each in found.pop(number, [])]
            wanted = [tuple(each) for each in outcome.forwarded]
            sent = self.sent[number]
            job = self.job_of(sent)
            if job is not None and wanted and self.may_be_dropped(job, number):
                # Forwarded until a worker saw the cancel, and none after that.
                where = job.name, sent.kafka_partition
                if got and where in stopped:
                    yield f"record {number} of {job.name} was forwarded after one that was not"
                if not got:
                    stopped.add(where)
                    continue
            if got != wanted:
                ended_at = self._ended_at.get(job.name) if job else None
                yield (
                    f"record {number} of {job.name if job else 'no job'} ({job_fate(job)}) was forwarded"
                    f" {len(got)} times instead of {len(wanted)}"
                    + (": not the same bytes" if len(got) == len(wanted) else "")
                    + f"; it is at {sent.kafka_partition}:{sent.offset}, key {sent.key!r}; model: "
                    f"dropped {outcome.dropped}, ended by a user before record {ended_at}"
                )
        for number in found:
            yield f"record {number} was forwarded, but never sent"

    def _dead_letters_differ(self) -> Iterator[str]:
        replays = {_position(record) for records in self.replays.values() for record in records}
        found = [each for each in self._letters() if dead_letters.source_of(each) not in replays]
        yield from dead_letters.differences(self.sent, self.outcomes, found, self._round.uncut_from)

    def _replays_differ(self) -> Iterator[str]:
        letters = {dead_letters.source_of(each) for each in self._letters()}
        for number, records in self.replays.items():
            refused = [each for each in (self.sent[number], *records) if _position(each) in letters]
            if len(refused) != len(records):
                yield f"record {number} was refused {len(refused)} times, and replayed {len(records)} times"

    def _letters(self) -> list[Received]:
        return [record for record in self.received if record.topic == self._topics.dead_letters]

    def _starts_differ(self) -> Iterator[str]:
        found = self.starts()
        for release in self.model.releases:
            name = f"{release.partition_id}:{release.job_id}"
            job, messages = self._round.jobs[name], found[name]
            if not messages and job.fate not in CANCELLED_OR_DELETED:
                yield f"{name} ({job_fate(job)}) was started 0 times instead of once"
            elif messages:
                message, wanted = _comparable(messages.pop(0)), _comparable(release.message)
                if message != wanted:
                    yield f"{name} was started with {message} instead of {wanted}"
        for name, messages in found.items():
            if messages:
                yield f"{name} was started {len(messages)} times more than it should have been"

    def _order_differs(self) -> Iterator[str]:
        last: dict[tuple[str, int], int] = {}
        last_two: dict[str, list[int]] = defaultdict(list)
        for record in sorted(self.received, key=_position):
            if record.header(NUMBER) is None or record.topic == self._topics.dead_letters:
                continue
            sent = self.sent[number_of(record)]
            job = self.job_of(sent)
            if job is not None and job.fate.startswith("paused"):
                # Held records arrive later, but in order, and so do the others.
                where = f"{job.name} in {record.topic} from {sent.kafka_partition}"
                if not _append_to_one(last_two[where], sent.offset):
                    yield f"{where}: {sent.offset} is out of order, and was not held"
                continue
            way = record.topic, sent.kafka_partition
            if sent.offset < last.get(way, -1):
                yield f"{way}: {sent.offset} ({job.name if job else 'no job'}) arrived after {last[way]}"
            last[way] = sent.offset

    # What is stored

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self._round.deployment.rows(statement)

    def _compared(self) -> set[tuple[str, str]]:
        """Return the jobs that must be exactly as in the model."""
        return {
            job.key
            for job in self._round.jobs.values()
            if job.fate not in CANCELLED_OR_DELETED
            and self.model.status(*job.key) != "Cancelled"
            and self.model.jobs[job.key].propagated_failure is None
        }

    def _jobs_differ(self) -> Iterator[str]:
        stored = {(row[0], row[1]): (STATUSES[row[2]], *row[3:]) for row in self._rows(JOBS)}
        compared = self._compared()
        for job in self._round.jobs.values():
            status, percentage, attempt = stored.pop(job.key, (None, 0, 0))
            wanted = self.model.status(*job.key)
            if status != wanted:
                yield f"{job.name} ({job_fate(job)}) is {status} instead of {wanted}"
            elif job.key in compared and percentage != self.model.percentage_millionths(*job.key):
                wanted_percentage = self.model.percentage_millionths(*job.key)
                yield f"{job.name} ({job_fate(job)}) is at {percentage} instead of {wanted_percentage}"
            elif job.key in compared and attempt != self.model.jobs[job.key].attempt:
                wanted_attempt = self.model.jobs[job.key].attempt
                yield f"{job.name} ({job_fate(job)}) has attempt {attempt} instead of {wanted_attempt}"
        yield from (f"{name} is stored, and was never submitted" for name in stored)

    def _tasks_differ(self) -> Iterator[str]:
        failures: dict[tuple[str, str], set[tuple[str, ...]]] = defaultdict(set)
        for row in self._rows(FAILURES):
            task = ".".join([f"{row[0]}:{row[1]}", *filter(None, [row[2]])])
            failures[row[0], row[1]].add((task, *row[3:]))
        unmet: dict[tuple[str, str], list[str]] = defaultdict(list)
        for row in self._rows(UNMET):
            unmet[row[0], row[1]].append(row[2])
        missing = self._missing()
        for key in self._compared():
            wanted = {tuple(each.values()) for each in self.model.failures(*key)}
            if failures[key] != wanted:
                yield f"{key}: failures {failures[key]} instead of {wanted}"
            if sorted(unmet[key]) != self.model.unmet_prerequisites(*key):
                yield f"{key}: waits for {unmet[key]}, not {self.model.unmet_prerequisites(*key)}"
            if self.model.status(*key) not in ENDED and sorted(missing[key]) != sorted(
                self.model.missing(*key)
            ):
                yield f"{key}: {missing[key]} are missing, not {self.model.missing(*key)}"

    def _missing(self) -> dict[tuple[str, str], list[tuple[str, int, int]]]:
        done: dict[tuple[str, str, str], set[int]] = defaultdict(set)
        for partition_id, job_id, path, block, bits in self._rows(BLOCKS):
            done[partition_id, job_id, path].update(children_in(block, bits))
        missing: dict[tuple[str, str], list[tuple[str, int, int]]] = defaultdict(list)
        for partition_id, job_id, parent_path, tasks in self._rows(TASKS):
            for path, (_, _, _, highest, *_, bits, _) in stored_tasks([(parent_path, tasks)]).items():
                name = ".".join([f"{partition_id}:{job_id}", *filter(None, [path])])
                completed = done[partition_id, job_id, path] | set(children_in(0, bits))
                for first, last in gaps(completed, highest):
                    missing[partition_id, job_id].append((name, first, last))
        return missing

    def _deadlocks(self) -> Iterator[str]:
        postgres = self._round.cluster.stack.postgres
        assert postgres is not None
        [(name,)] = self._rows("SELECT current_database()")
        for line in postgres.log.read_text(errors="replace").splitlines():
            if "deadlock detected" in line and name in line:
                yield line


_ENDING = ("cancel", "delete")


def _is_start(record: Received, dead_letters: str) -> bool:
    return record.topic != dead_letters and record.header(NUMBER) is None


def number_of(record: Received) -> int:
    """Return the number with which a record was sent; -1 for the start of a job."""
    return int(record.header(NUMBER) or -1)


def _position(record: Received) -> tuple[str, int, int]:
    return record.topic, record.kafka_partition, record.offset


def job_fate(job: Job | None) -> str:
    """Describe the plan and the fate of a job."""
    if job is None:
        return ""
    in_bulk = " in bulk" * job.in_bulk
    return f"{job.plan}{', mixed keys' * job.mixed_keys}" + (f", {job.fate}{in_bulk}" if job.fate else "")


def _append_to_one(last_two: list[int], offset: int) -> bool:
    """Append a number to one of two ascending sequences, by their last numbers; return whether it fits."""
    last_two.extend([-1] * (2 - len(last_two)))
    fitting = [at for at in (0, 1) if last_two[at] < offset]
    if not fitting:
        return False
    last_two[max(fitting, key=lambda at: last_two[at])] = offset
    return True


def _comparable(message: dict[str, Any]) -> dict[str, Any]:
    """Return a start without what is new each time, and without what the last prerequisite decides."""
    kept = {name: value for name, value in message.items() if name not in {"taskId", "correlationId"}}
    kept["tracking"] = {
        name: value for name, value in message["tracking"].items() if name != "lastStatusCheckTime"
    }
    return {name: value for name, value in kept.items() if value is not None}


def _first_difference(one: list[Received], other: list[Received]) -> str:
    pairs = zip(one, other, strict=False)
    return next((f"{a[4:]}, {b[4:]}" for a, b in pairs if a != b), "one has more at the end")
