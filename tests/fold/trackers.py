"""One interface to the fold and the naive model, so that one suite of rules tests both."""

from abc import ABC, abstractmethod
from collections import Counter
from contextlib import suppress
from typing import Any, NamedTuple

from tests.fold.memory import BatchDone, MemoryTracker
from tests.support.decoding import rules_with
from tests.support.model.naive import NaiveTracker
from tests.support.model.outcomes import NotFound, Outcome, Refused
from tests.support.model.poison import TRACKING_TOPICS
from tests.support.model.reading import Rules as ModelRules
from tests.support.records import Record
from tracker.identifiers import JobName
from tracker.job_status import JobStatus
from tracker.messages.event import NO_SOURCE

JOB = JobName("acme", "job")
PERCENT = 1_000_000
"""Percentages are in millionths of a percent."""

Fate = tuple[Any, ...]
"""`("forwarded", destination, value)`, `("held",)`, `("refused", reason)` or `("not sent",)`."""

NOT_SENT = ("not sent",)
HELD = ("held",)


class State(NamedTuple):
    """The state of a job. `failures`: task to ID, source and message; `missing`: (parent, first, last)."""

    status: str
    percentage: int
    failures: dict[str, tuple[str, str, str]]
    missing: list[tuple[str, int, int]]


class Result(NamedTuple):
    """The outcome of a batch.

    `dropped` counts records by reason, `ignored` reports of events. `completed_by`: the position of the
    record that completed `acme:job`, if one did.
    """

    fates: list[Fate]
    dropped: Counter[str]
    ignored: Counter[str]
    completed_by: int | None


class Tracker(ABC):
    """Takes records, and knows the state of jobs."""

    @abstractmethod
    def create(self, job: JobName) -> None:
        """Create a job that has been sent."""

    @abstractmethod
    def command(self, verb: str, job: JobName = JOB) -> None:
        """Pause, resume, cancel or delete a job. A refused command does nothing."""

    @abstractmethod
    def apply(self, *records: Record) -> Result:
        """Apply records in one batch."""

    @abstractmethod
    def state(self, job: JobName = JOB) -> State:
        """Return the state of a job."""

    def each(self, *records: Record) -> None:
        """Apply records, each in a batch of its own."""
        for record in records:
            self.apply(record)

    @property
    def status(self) -> str:
        return self.state().status

    @property
    def percentage(self) -> int:
        return self.state().percentage

    @property
    def failures(self) -> dict[str, tuple[str, str, str]]:
        return self.state().failures

    @property
    def missing(self) -> list[tuple[str, int, int]]:
        return self.state().missing


class ModelTracker(Tracker):
    """The naive model."""

    def __init__(self) -> None:
        self.model = NaiveTracker(tracking_topics=TRACKING_TOPICS)

    def create(self, job: JobName) -> None:
        # Their markers are as those of the fold. The dependent shows which record completes the job.
        self.model.create_job(*job, marker=str(len(self.model.jobs) // 2 + 1))
        self.model.create_job(job.partition_id, f"{job.job_id}-dependent", prerequisites=[job.job_id])

    def command(self, verb: str, job: JobName = JOB) -> None:
        with suppress(Refused, NotFound):
            getattr(self.model, verb)(*job)

    def apply(self, *records: Record) -> Result:
        outcomes = self.model.process_batch(records)
        released = [
            position
            for position, outcome in enumerate(outcomes)
            if f"{JOB.job_id}-dependent" in [each.job_id for each in outcome.released]
        ]
        return Result(
            [fate_in_model(outcome) for outcome in outcomes],
            Counter(outcome.dropped for outcome in outcomes if outcome.dropped is not None),
            Counter(word for outcome in outcomes for word in outcome.ignored if word in _IGNORED),
            released[0] if released else None,
        )

    def state(self, job: JobName = JOB) -> State:
        return state_in_model(self.model, job)


class FoldTracker(Tracker):
    """The fold, with rows in memory."""

    def __init__(self) -> None:
        self.memory = MemoryTracker(rules_with(ModelRules(TRACKING_TOPICS)))

    def create(self, job: JobName) -> None:
        self.memory.create(*job)

    def command(self, verb: str, job: JobName = JOB) -> None:
        self.memory.command(verb, job)

    def apply(self, *records: Record) -> Result:
        done = self.memory.apply(records)
        completing = [
            fold.completing_position()
            for fold in done.folds
            if fold.job.name == JOB and fold.status is JobStatus.COMPLETED
        ]
        return Result(
            [fate_in_fold(done, position) for position in range(len(records))],
            _in_the_models_words(done.decisions.dropped),
            _in_the_models_words(done.decisions.ignored),
            completing[0] if completing else None,
        )

    def state(self, job: JobName = JOB) -> State:
        self.memory.check()
        return state_in_fold(self.memory, job)


_IGNORED = {"unknown", "cancelled", "completed"}
"""The model gives a word also to reports that only write nothing, such as retries."""


def _in_the_models_words(reasons: Counter[str]) -> Counter[str]:
    return Counter({"unknown" if each == "unknown_job" else each: count for each, count in reasons.items()})


def fate_in_model(outcome: Outcome) -> Fate:
    if outcome.dead_letter is not None:
        return ("refused", outcome.dead_letter.reason)
    if outcome.held:
        return HELD
    if outcome.forwarded:
        return ("forwarded", outcome.forwarded[0].destination, outcome.forwarded[0].value)
    return NOT_SENT


def fate_in_fold(done: BatchDone, position: int) -> Fate:
    refused = dict(done.decoded.refused)
    if position in refused:
        assert done.decoded.destinations[position] is None
        return ("refused", refused[position].reason.value)
    if any(held == position for _, _, held in done.decisions.held):
        assert done.decoded.destinations[position] is None
        return HELD
    if done.decoded.destinations[position] is not None:
        assert position not in done.decisions.withheld
        return ("forwarded", done.decoded.destinations[position], done.decoded.values[position])
    return NOT_SENT


def state_in_model(model: NaiveTracker, name: JobName) -> State:
    status = model.status(*name)
    assert status is not None
    failures = {
        each["jobTaskId"]: (
            each["failureId"],
            NO_SOURCE if each["failureSource"] is None else each["failureSource"],
            each["failureMessage"] or "",
        )
        for each in model.failures(*name)
    }
    return State(status, model.percentage_millionths(*name), failures, sorted(model.missing(*name)))


def state_in_fold(fold: MemoryTracker, name: JobName) -> State:
    rows = fold.jobs[name]
    failures = {
        ".".join(filter(None, [str(name), path])): (
            failure.failure_id,
            failure.failure_source,
            failure.failure_message,
        )
        for path, failure in rows.failures.items()
    }
    return State(rows.status.name.capitalize(), rows.percentage, failures, sorted(rows.missing(name)))
