"""Compares what the fold makes of records with what the naive model makes of them."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from tests.fold.memory import BatchDone, MemoryTracker
from tests.model.naive import NaiveTracker
from tests.model.outcomes import NotFound, Outcome, Refused
from tests.model.poison import KNOWN_TOPICS, TRACKING_TOPICS
from tests.model.reading import Record
from tracker.identifiers import JobName
from tracker.messages.event import NO_SOURCE


class Both:
    """The model and the fold, given the same."""

    def __init__(self, *job_ids: str) -> None:
        self.model = NaiveTracker(tracking_topics=TRACKING_TOPICS, known_topics=KNOWN_TOPICS)
        self.fold = MemoryTracker()
        for job_id in job_ids:
            self.model.create_job("acme", job_id)
            self.fold.create("acme", job_id)

    def apply(self, records: Sequence[Record]) -> tuple[list[Outcome], BatchDone]:
        """Give them a batch, and compare what came of its records."""
        outcomes, done = self.model.process_batch(records), self.fold.apply(records)
        for position, outcome in enumerate(outcomes):
            found, wanted = fate_in_fold(done, position), fate_in_model(outcome)
            assert found == wanted, f"record {position}: {records[position]}"
        return outcomes, done

    def command(self, verb: str, job_id: str) -> None:
        """Pause, resume, cancel or delete a job, if that may be done."""
        with suppress(Refused, NotFound):
            getattr(self.model, verb)("acme", job_id)
        self.fold.command(verb, JobName("acme", job_id))

    def compare(self) -> None:
        """Compare the state of all jobs."""
        self.fold.check()
        for name in self.fold.jobs:
            found, wanted = state_in_fold(self.fold, name), state_in_model(self.model, name)
            assert found == wanted, name


def fate_in_model(outcome: Outcome) -> tuple[Any, ...]:
    if outcome.dead_letter is not None:
        return ("refused", outcome.dead_letter.reason)
    if outcome.held:
        return ("held",)
    if outcome.forwarded:
        return ("forwarded", outcome.forwarded[0].destination, outcome.forwarded[0].value)
    return ("not sent",)


def fate_in_fold(done: BatchDone, position: int) -> tuple[Any, ...]:
    refused = dict(done.decoded.refused)
    if position in refused:
        assert done.decoded.destinations[position] is None
        return ("refused", refused[position].reason.value)
    if any(held == position for _, _, held in done.decisions.held):
        assert done.decoded.destinations[position] is None
        return ("held",)
    if done.decoded.destinations[position] is not None:
        assert position not in done.decisions.withheld
        return ("forwarded", done.decoded.destinations[position], done.decoded.values[position])
    return ("not sent",)


def state_in_model(model: NaiveTracker, name: JobName) -> dict[str, Any]:
    return {
        "status": model.status(*name),
        "percentage": model.percentage_millionths(*name),
        "failures": {
            each["jobTaskId"]: (
                each["failureId"],
                NO_SOURCE if each["failureSource"] is None else each["failureSource"],
                each["failureMessage"] or "",
            )
            for each in model.failures(*name)
        },
        "missing": sorted(model.missing(*name)),
    }


def state_in_fold(fold: MemoryTracker, name: JobName) -> dict[str, Any]:
    rows = fold.jobs[name]
    return {
        "status": rows.status.name.capitalize(),
        "percentage": rows.percentage,
        "failures": {
            ".".join(filter(None, [str(name), path])): (
                failure.failure_id,
                failure.failure_source,
                failure.failure_message,
            )
            for path, failure in rows.failures.items()
        },
        "missing": sorted(rows.missing(name)),
    }
