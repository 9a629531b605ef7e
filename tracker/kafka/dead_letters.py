"""Dead letters: refused records go to a topic of their own, with the reason, whole if they fit."""

import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import NamedTuple

from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

from tracker.kafka.produce_errors import TOO_LARGE
from tracker.kafka.producer import Headers, OutgoingMessage
from tracker.kafka.properties import producer_properties
from tracker.kafka.topics import TopicLimits, topic_limits
from tracker.logs import get_logger
from tracker.messages.dead_letter import (
    Source,
    dead_letter_headers,
    headers_dropped_header,
    key_for_compaction,
    key_replaced_header,
    truncated_header,
)
from tracker.messages.refusal import Reason, Refusal
from tracker.settings import Settings

MIN_BYTES = 16_384
"""An upper bound for the size of a dead letter without anything of its record."""

_ENVELOPE_BYTES = 1_024  # an upper bound for a record's framing, beyond key, value and headers
_HEADER_BYTES = 10  # of framing for each header
_ASK_AGAIN_S = 60.0

log = get_logger()


def refusal_of(topic: str, error: KafkaError) -> Refusal:
    """Return the refusal of a message that a topic does not take."""
    reason = Reason.TOO_LARGE if error.code() in TOO_LARGE else Reason.DESTINATION_NOT_ALLOWED
    return Refusal(reason, f"the destination {topic!r} does not take the message: {error.str()}")


class _Letter(NamedTuple):
    """What a dead letter has of its record, and what was left out."""

    key: bytes | None
    value: bytes | None
    own: Sequence[tuple[str, bytes | None]]  # headers of the record
    notes: Sequence[tuple[str, bytes]]  # headers that say what was left out


class DeadLetters:
    """Makes dead letters that fit their topic.

    `read_limits` asks what the topic takes. It is called again after the topic has refused a dead letter, and
    once a minute while dead letters are cut, so that no limit outlives its cause.
    """

    def __init__(self, settings: Settings, read_limits: Callable[[], TopicLimits]) -> None:
        self._topic = settings.dead_letter_topic
        self._group_id = settings.group_id
        self._read_limits = read_limits
        self._max_bytes = int(producer_properties(settings, "")["message.max.bytes"])
        self._limit_bytes, self._needs_key, self._ask_again_monotonic_s = 0, False, 0.0
        self._refresh_limits()

    def make(
        self,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        refusal: Refusal,
        source: Source,
    ) -> OutgoingMessage:
        """Make the dead letter of a record."""
        own, ours = dead_letter_headers(headers, refusal, source, self._group_id)
        if key is None and self._needs_key:
            key = key_for_compaction(source)
        whole = _Letter(key, value, own, ())
        room = self._limit_bytes - _size_of(ours) - _ENVELOPE_BYTES
        if _size(whole) > room and time.monotonic() >= self._ask_again_monotonic_s:
            self._refresh_limits()
            room = self._limit_bytes - _size_of(ours) - _ENVELOPE_BYTES
        letter = _cut(whole, room)
        return OutgoingMessage(self._topic, letter.key, letter.value, [*letter.own, *ours, *letter.notes])

    def on_refused(self, error: KafkaError) -> None:
        """Adapt to a refusal of their topic: it takes less than it did, or nothing without a key."""
        limit_bytes, needed_key = self._limit_bytes, self._needs_key
        self._refresh_limits()
        if error.code() in TOO_LARGE:
            if self._limit_bytes >= limit_bytes:  # the user may not ask for them
                self._limit_bytes = max(limit_bytes // 2, MIN_BYTES)
            log.warning(
                "the dead-letter topic refuses dead letters; they are cut", size_bytes=self._limit_bytes
            )
        elif not needed_key:
            self._needs_key = True
            log.warning("the dead-letter topic refuses dead letters without a key; they are given one")

    def _refresh_limits(self) -> None:
        self.limits = self._read_limits()
        self._limit_bytes = min(self.limits.max_message_bytes, self._max_bytes)
        self._needs_key = self.limits.is_compacted
        self._ask_again_monotonic_s = time.monotonic() + _ASK_AGAIN_S


def dead_letters_for(settings: Settings, admin: AdminClient) -> DeadLetters:
    """Return the maker of a deployment's dead letters, and log why their topic is not fit for them."""
    letters = DeadLetters(settings, lambda: topic_limits(admin, settings.dead_letter_topic))
    for problem in unfit(letters.limits):
        log.warning(
            "the dead-letter topic is not fit for dead letters", topic=settings.dead_letter_topic, why=problem
        )
    return letters


def unfit(limits: TopicLimits) -> list[str]:
    """Return why a topic is not fit for dead letters; empty: it is."""
    problems = []
    if limits.is_compacted:
        problems.append("it is compacted, so that dead letters replace each other: set cleanup.policy=delete")
    if limits.max_message_bytes < MIN_BYTES:
        problems.append(
            f"it takes only {limits.max_message_bytes:,} bytes, and some dead letters need {MIN_BYTES:,}:"
            " set max.message.bytes"
        )
    return problems


def _cut(letter: _Letter, room: int) -> _Letter:
    """Cut the value. If key and headers leave no room for it, drop the headers, and then the key."""
    key, value, own, notes = letter
    note_bytes = 2 * _NOTE_BYTES + _TRUNCATED_BYTES
    if _size(letter) <= room:
        return letter
    if _size(letter._replace(value=None)) + note_bytes > room:
        notes = [*notes, headers_dropped_header(len(own), *_digest(own))] if own else notes
        own = []
    if key is not None and len(key) + note_bytes > room:
        notes = [*notes, key_replaced_header(len(key), sha256(key).hexdigest())]
        key = sha256(key).hexdigest().encode()
    room -= _size(_Letter(key, None, own, notes)) + _TRUNCATED_BYTES
    if value is not None and len(value) > max(0, room):
        notes = [*notes, truncated_header(len(value))]
        value = value[: max(0, room)]
    return _Letter(key, value, own, notes)


_NOTE_BYTES = 256
_TRUNCATED_BYTES = 64


def _digest(headers: Sequence[tuple[str, bytes | None]]) -> tuple[int, str]:
    """Return the size of headers, and their hash: names and values, each after its length."""
    digest, size = sha256(), 0
    for name, value in headers:
        for part in (name.encode(), value or b""):
            digest.update(len(part).to_bytes(4, "big") + part)
            size += len(part)
    return size, digest.hexdigest()


def _size_of(headers: Sequence[tuple[str, bytes | None]]) -> int:
    return sum(len(name.encode()) + len(value or b"") + _HEADER_BYTES for name, value in headers)


def _size(letter: _Letter) -> int:
    return len(letter.key or b"") + len(letter.value or b"") + _size_of(letter.own) + _size_of(letter.notes)
