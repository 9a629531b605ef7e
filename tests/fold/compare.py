"""Applies the same records to the fold and to the naive model, and compares the outcomes."""

from collections.abc import Sequence
from contextlib import suppress

from tests.fold.memory import BatchDone, MemoryTracker
from tests.fold.trackers import fate_in_fold, fate_in_model, state_in_fold, state_in_model
from tests.support.model.naive import NaiveTracker
from tests.support.model.outcomes import NotFound, Outcome, Refused
from tests.support.model.poison import KNOWN_TOPICS, TRACKING_TOPICS
from tests.support.records import Record
from tracker.identifiers import JobName


class Both:
    """The model and the fold. They get the same records and commands."""

    def __init__(self, *job_ids: str) -> None:
        self.model = NaiveTracker(tracking_topics=TRACKING_TOPICS, known_topics=KNOWN_TOPICS)
        self.fold = MemoryTracker()
        for job_id in job_ids:
            self.model.create_job("acme", job_id)
            self.fold.create("acme", job_id)

    def apply(self, records: Sequence[Record]) -> tuple[list[Outcome], BatchDone]:
        """Apply a batch to both, and compare what becomes of each record."""
        outcomes, done = self.model.process_batch(records), self.fold.apply(records)
        for position, outcome in enumerate(outcomes):
            found, wanted = fate_in_fold(done, position), fate_in_model(outcome)
            assert found == wanted, f"record {position}: {records[position]}"
        return outcomes, done

    def command(self, verb: str, job_id: str) -> None:
        """Pause, resume, cancel or delete a job. A refused command does nothing."""
        with suppress(Refused, NotFound):
            getattr(self.model, verb)("acme", job_id)
        self.fold.command(verb, JobName("acme", job_id))

    def compare(self) -> None:
        """Compare the state of all jobs."""
        self.fold.check()
        for name in self.fold.jobs:
            found, wanted = state_in_fold(self.fold, name), state_in_model(self.model, name)
            assert found == wanted, name
