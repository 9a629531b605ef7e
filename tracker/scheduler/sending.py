"""Makes messages of outbox entries, and puts back jobs that cannot be sent."""

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
from tracker.messages.dead_letter import Source, forwarded_headers
from tracker.messages.named_task import task_in
from tracker.messages.refusal import Refusal
from tracker.metrics import DEAD_LETTERS, SCHEDULED_SENDS, Recorder
from tracker.rate_limited_log import RateLimitedLog
from tracker.settings import Settings
from tracker.store.batch_store import POSTPONED_S
from tracker.store.held_message import HeldMessage
from tracker.store.schedule_store import OutboxEntry, ScheduleStore

_REFUSED_S = 60  # after this time, a job whose task message Kafka has refused is tried again
_HEADERS = msgspec.msgpack.Decoder(list[tuple[str, bytes | None]])  # librdkafka accepts no lists as pairs


@dataclass
class OutgoingRound:
    """The messages of a round, and what to count when they are published."""

    messages: list[OutgoingMessage] = field(default_factory=list)
    send_numbers: list[int] = field(default_factory=list)  # one for each message
    counts: dict[str, int] = field(default_factory=lambda: {"first": 0, "delayed": 0, "resumed": 0})
    dead: list[Refusal] = field(default_factory=list)

    def count(self, recorder: Recorder) -> None:
        """Count the messages as published."""
        for kind, count in self.counts.items():
            if count:
                recorder.add(SCHEDULED_SENDS, count, kind=kind)
        for refusal in self.dead:
            recorder.add(DEAD_LETTERS, reason=refusal.reason.value)


class OutboxMessages:
    """Makes messages of outbox entries. Keeps what Kafka has refused until a round is published."""

    def __init__(
        self, settings: Settings, store: ScheduleStore, admin: AdminClient, destinations: Destinations
    ) -> None:
        self._settings = settings
        self._store = store
        self._admin = admin
        self._destinations = destinations
        self._status_check = status_check_of(settings)
        self._limited_log = RateLimitedLog()
        self._refused: dict[int, Refusal] = {}  # by send number
        self._dead_letters: DeadLetters | None = None  # made when the first is needed

    def postpone_refused(self, entries: list[OutboxEntry]) -> list[OutboxEntry]:
        """Put back the jobs that cannot be sent to their topic; their send numbers stay unused.

        This is a transaction of its own, because brokers are asked about topics before it. While send numbers
        are assigned, a worker that starts, and the next scheduler, wait for the row of the deployment.
        """
        refused = {
            entry.send_number: (entry.task, refusal)
            for entry in entries
            if entry.task is not None and (refusal := self._refusal_of(entry))
        }
        if not refused:
            return entries
        for task, refusal in refused.values():
            self._limited_log.log(
                "warning",
                "jobs cannot be sent, and are tried again",
                refusal.detail,
                partial(dict[str, object], job=str(task.job)),
            )
        reasons = {number: (task, refusal.detail) for number, (task, refusal) in refused.items()}
        by_kafka = [reasons[number] for number in reasons if number in self._refused]
        others = [reasons[number] for number in reasons if number not in self._refused]
        with self._store.transaction():
            self._store.postpone(others, POSTPONED_S)
            self._store.postpone(by_kafka, _REFUSED_S)
        return [entry.without_payload() if entry.send_number in refused else entry for entry in entries]

    def make(self, entries: list[OutboxEntry]) -> OutgoingRound:
        """Return the messages of entries, in their order."""
        now_ms = time.time_ns() // 1_000_000
        outgoing = OutgoingRound()
        for entry in entries:
            if entry.task is not None:
                outgoing.messages += outgoing_tasks([entry.task], self._status_check, now_ms)
                outgoing.counts["delayed" if entry.is_delayed else "first"] += 1
            elif entry.held is not None:
                refusal = self._refusal_of(entry)
                if refusal is None:
                    outgoing.messages.append(_outgoing_held(entry.held))
                    outgoing.counts["resumed"] += 1
                else:
                    outgoing.messages.append(self._dead_letter(entry.held, refusal))
                    outgoing.dead.append(refusal)
            else:
                continue
            outgoing.send_numbers.append(entry.send_number)
        return outgoing

    def record_refused(self, outgoing: OutgoingRound, refused: MessagesRefused) -> None:
        """Record what Kafka has refused, so that the others can be sent without it."""
        for position, error in refused.errors.items():
            topic = outgoing.messages[position].topic
            if topic == self._settings.dead_letter_topic and self._dead_letters is not None:
                self._dead_letters.on_refused(error)
            else:
                self._refused[outgoing.send_numbers[position]] = refusal_of(topic, error)

    def clear_refused(self) -> None:
        """Forget what Kafka has refused; call this when the round is published."""
        self._refused.clear()

    def _refusal_of(self, entry: OutboxEntry) -> Refusal | None:
        """Return why an entry cannot be sent to its topic; None: it can."""
        return self._destinations.find_refusal(entry.topic) or self._refused.get(entry.send_number)

    def _dead_letter(self, held: HeldMessage, refusal: Refusal) -> OutgoingMessage:
        if self._dead_letters is None:
            self._dead_letters = dead_letters_for(self._settings, self._admin)
        self._limited_log.log(
            "warning", "a held message cannot be sent", refusal.detail, lambda: task_in(held.value)
        )
        source = Source(
            held.source_topic, held.source_kafka_partition, held.source_offset, held.source_time_ms
        )
        return self._dead_letters.make(held.key, held.value, _headers(held), refusal, source)


def _headers(held: HeldMessage) -> list[tuple[str, bytes | None]] | None:
    return _HEADERS.decode(held.headers) if held.headers else None


def _outgoing_held(held: HeldMessage) -> OutgoingMessage:
    headers = _headers(held)
    forwarded = forwarded_headers(headers) if headers else None
    return OutgoingMessage(held.destination, held.key, held.value, forwarded)
