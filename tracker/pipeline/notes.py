"""What a batch notes of jobs whose messages it has dropped, or made dead letters of."""

from collections import defaultdict

from confluent_kafka import Message

from tracker.fold.decide import Decisions
from tracker.identifiers import JobName
from tracker.kafka.batch import coordinates
from tracker.kafka_partition import RecordName
from tracker.messages.named_task import job_in
from tracker.pipeline.redelivery import Part
from tracker.store.job_note import JobNote


def notes_of(new: Part, decided: Decisions) -> dict[JobName, JobNote]:
    """Return a note for each job that a dropped record or a dead letter names, among records that are new."""
    notes: defaultdict[JobName, JobNote] = defaultdict(JobNote)
    for name, (reason, count, position) in decided.dropped_of.items():
        note = notes[name]
        note.dropped, note.drop_reason, note.drop_record = count, reason, _name_of(new.records[position])
    for position, refusal in new.decoded.refused:
        record = new.records[position]
        job = job_in(record.value())
        # PostgreSQL stores no NUL, so no such job is stored, and to ask for it would fail the batch.
        if job is not None and "\0" not in str(job):
            note = notes[job]
            note.dead_letters += 1
            note.dead_letter_reason, note.dead_letter_record = refusal.reason.value, _name_of(record)
    return notes


def _name_of(record: Message) -> str:
    (topic, kafka_partition), offset = coordinates(record)
    return str(RecordName(topic, kafka_partition, offset))
