"""What the entries of the outbox become: messages for Kafka, or jobs that are put back."""

import time
from dataclasses import dataclass, field
from functools import partial

import msgspec
from confluent_kafka.admin import AdminClient

from tracker.kafka.dead_letters import DeadLetters, dead_letters_for, refusal_of
from tracker.kafka.destinations import Destinations
from tracker.kafka.errors import MessagesRefused
from tracker.kafka.producer import OutgoingMessage
from tracker.kafka.sending import outgoing_tasks, status_check_of
from tracker.messages.dead_letter import Source
from tracker.messages.named_task import task_in
from tracker.messages.refusal import Refusal
from tracker.metrics import DEAD_LETTERS, SCHEDULED_SENDS, Recorder
from tracker.rate_limited_log import RateLimitedLog
from tracker.settings import Settings
from tracker.store.batch_store import POSTPONED_S
from tracker.store.held_message import HeldMessage
from tracker.store.schedule_store import OutboxEntry, ScheduleStore

_REFUSED_S = 60  # a job whose task message Kafka refuses is tried again after this long
_HEADERS = msgspec.msgpack.Decoder(list[tuple[str, bytes | None]])  # librdkafka takes no lists for pairs


@dataclass
class OutgoingRound:
    """The messages of a round, and what is counted of them once they are published."""

    messages: list[OutgoingMessage] = field(default_factory=list)
    send_numbers: list[int] = field(default_factory=list)  # one for each message
    counts: dict[str, int] = field(default_factory=lambda: {"first": 0, "delayed": 0, "resumed": 0})
    dead: list[Refusal] = field(default_factory=list)

    def count(self, recorder: Recorder) -> None:
        """Count what is published."""
        for kind, count in self.counts.items():
            if count:
                recorder.add(SCHEDULED_SENDS, count, kind=kind)
        for why in self.dead:
            recorder.add(DEAD_LETTERS, reason=why.reason.value)


class OutboxMessages:
    """Makes messages of outbox entries; remembers what Kafka refuses of them until a round is published."""

    def __init__(
        self, settings: Settings, store: ScheduleStore, admin: AdminClient, destinations: Destinations
    ) -> None:
        self._settings = settings
        self._store = store
        self._admin = admin
        self._destinations = destinations
        self._check = status_check_of(settings)
        self._limited_log = RateLimitedLog()
        self._refused: dict[int, Refusal] = {}  # by send number
        self._dead_letters: DeadLetters | None = None  # not needed yet

    def without_refused(self, entries: list[OutboxEntry]) -> list[OutboxEntry]:
        """Put back the jobs that cannot be sent where they are to go; their send numbers pass unused.

        In a transaction of its own: brokers are asked about topics before it, and a worker that starts, or
        the next scheduler, waits for the row of the deployment while the numbers are given.
        """
        refused = {
            entry.send_number: why
            for entry in entries
            if entry.task is not None and (why := self._refusal_of(entry))
        }
        if not refused:
            return entries
        for entry in entries:
            if entry.task is not None and entry.send_number in refused:
                self._limited_log.log(
                    "warning",
                    "jobs cannot be sent, and are tried again",
                    refused[entry.send_number].detail,
                    partial(dict[str, object], job=str(entry.task.job)),
                )
        with self._store.transaction():
            for by_kafka, delay_s in ((False, POSTPONED_S), (True, _REFUSED_S)):
                tasks = [
                    entry.task
                    for entry in entries
                    if entry.task is not None
                    and entry.send_number in refused
                    and (entry.send_number in self._refused) is by_kafka
                ]
                self._store.postpone(tasks, delay_s)
        return [entry.without_payload() if entry.send_number in refused else entry for entry in entries]

    def make(self, entries: list[OutboxEntry]) -> OutgoingRound:
        """Return the messages of entries, in their order."""
        now_ms = time.time_ns() // 1_000_000
        made = OutgoingRound()
        for entry in entries:
            if entry.task is not None:
                made.messages += outgoing_tasks([entry.task], self._check, now_ms)
                made.counts["delayed" if entry.is_delayed else "first"] += 1
            elif entry.held is not None:
                why = self._refusal_of(entry)
                made.messages.append(self._dead_letter(entry.held, why) if why else _as_it_was(entry.held))
                made.dead += [why] if why else []
                made.counts["resumed"] += not why
            else:
                continue
            made.send_numbers.append(entry.send_number)
        return made

    def note_refused(self, made: OutgoingRound, refused: MessagesRefused) -> None:
        """Note what Kafka has refused, so that it is not sent again: the rest can be."""
        for position, error in refused.errors.items():
            topic = made.messages[position].topic
            if topic == self._settings.dead_letter_topic and self._dead_letters is not None:
                self._dead_letters.on_refused(error)
            else:
                self._refused[made.send_numbers[position]] = refusal_of(topic, error)

    def note_published(self) -> None:
        """Forget what was refused of a round that is published now."""
        self._refused.clear()

    def _refusal_of(self, entry: OutboxEntry) -> Refusal | None:
        """Return why an entry cannot be sent to its topic, or None."""
        return self._destinations.find_refusal(entry.topic) or self._refused.get(entry.send_number)

    def _dead_letter(self, held: HeldMessage, why: Refusal) -> OutgoingMessage:
        if self._dead_letters is None:
            self._dead_letters = dead_letters_for(self._settings, self._admin)
        self._limited_log.log(
            "warning", "a held message cannot be sent", why.detail, lambda: task_in(held.value)
        )
        source = Source(
            held.source_topic, held.source_kafka_partition, held.source_offset, held.source_time_ms
        )
        return self._dead_letters.make(held.key, held.value, _headers(held), why, source)


def _headers(held: HeldMessage) -> list[tuple[str, bytes | None]] | None:
    return _HEADERS.decode(held.headers) if held.headers else None


def _as_it_was(held: HeldMessage) -> OutgoingMessage:
    return OutgoingMessage(held.destination, held.key, held.value, _headers(held))
