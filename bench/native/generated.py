"""Generates records: good ones of all shapes, and changed ones, which are often bad.

Most records have the text of a document with a few bytes changed: to make and to write a document takes ten
times as long.
"""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

from confluent_kafka import Message

from bench.native.documents import (
    FIELDS,
    NUMBERS,
    OTHER_TRACKING_TOPIC,
    TEXTS,
    TOKENS,
    TRACKING_TOPIC,
    UNKNOWN_TOPIC,
    nested,
    written_document,
)
from tracker.messages.dead_letter import UNREADABLE_HEADERS
from tracker.messages.decode import Rules
from tracker.messages.refusal import Reason, Refusal

_MAX_MESSAGE_BYTES = 4_000
_DOCUMENTS = 256
_MESSAGES_OF_DOCUMENTS = 10_000  # then there are new documents
_HEADERS: list[list[tuple[str, str | bytes | None]] | None] = [
    None,
    [("x-caf-worker-rejected", b"full")],
    [("x", b"\xff"), ("x", None)],
]
_CHANGES_OF = (0, 0, 0, 0, 0, 1, 1, 1, 1, 2)  # a message


def rules() -> Rules:
    """Return the rules by which the messages are decoded: some of their destinations are refused."""
    return Rules([TRACKING_TOPIC, OTHER_TRACKING_TOPIC], _refuse_destination, _MAX_MESSAGE_BYTES, 100)


def _refuse_destination(topic: str) -> Refusal | None:
    if topic == "" or topic.startswith(UNKNOWN_TOPIC):
        return Refusal(Reason.DESTINATION_UNKNOWN, "there is no such topic")
    return None


class Generator:
    """Generates records; the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._documents: list[bytes] = []
        self._remaining = 0  # messages of these documents

    def batch(self, size: int) -> list[Message]:
        """Return the next records, which are a batch."""
        if self._remaining <= 0:
            self._documents = [written_document(self._random) for _ in range(_DOCUMENTS)]
            self._remaining = _MESSAGES_OF_DOCUMENTS
        self._remaining -= size
        return [self._record() for _ in range(size)]

    def _record(self) -> Message:
        random = self._random
        value = _one_of(random, self._documents)
        for _ in range(_one_of(random, _CHANGES_OF)):
            value = _one_of(random, _CHANGES)(random, value) or b" "
        if random.random() < 0.01:
            value = _spliced(random, value, _one_of(random, self._documents))
        return _received(random, value)


def _received(random: Random, value: bytes) -> Message:
    if random.random() > 0.02:
        return Message(topic=TRACKING_TOPIC, value=value)
    record = Message(
        topic=random.choice([TRACKING_TOPIC, OTHER_TRACKING_TOPIC, TRACKING_TOPIC.upper()]),
        value=random.choice([value, value, value, value + b" " * _MAX_MESSAGE_BYTES, None]),
        headers=random.choice(_HEADERS),
    )
    if random.random() < 0.1:
        record.set_headers(UNREADABLE_HEADERS)  # type: ignore[arg-type]
    return record


# Changes of the text

T = TypeVar("T")
_Change = Callable[[Random, bytes], bytes]

_BYTES = b'{}[]",:\\/0123456789-+eE.*tfnu \t\r\n\x00\x1f\x7f\x80\xbf\xc3\xff'
_BLANKS = (b" ", b"\t", b"\n", b"\r", b"\x0b", b"\x0c")
_ESCAPES = rb"\n \\ \/ \" \u0041 \u0000 \u00e4 \ud83d\ude00 \uD83D\uDE00".split()
_ESCAPES += rb"\ud800 \udc00 \ud800\u0041 \u12 \x \a \u00g0 \u+123 \U0041".split()  # malformed
_UTF_8 = [b"\xf0\x9f\x98\x80", b"\xc3\xa9", b"\xef\xbb\xbf"]
_NOT_UTF_8 = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80"]
_SNIPPETS = [bytes([byte]) for byte in b'{}[]",:\\ 0-.e\0\x1f\x7f']
_SNIPPETS += [*_ESCAPES, *_UTF_8, *_NOT_UTF_8, b"null", b"true", b'""', b"{}", b"[]", b"1e400"]
_NAMES = [*FIELDS, "other", r"\u0074o", r"track\u0069ng", r"trackTo\u0000", "ü"]
_VALUES = ["null", '"worker-out"', '"acme:job.2"', "3", "4", "1.0", "true", "[]", "{}"]
_VALUES += ['{"jobTaskId":"job.1"}']
_MEMBERS = [f'"{name}":{value},'.encode() for name in _NAMES for value in _VALUES]
_REPLACEMENTS = [json.dumps(each).encode() for each in NUMBERS + TEXTS] + [token.encode() for token in TOKENS]


def _flip_bit(random: Random, value: bytes) -> bytes:
    changed = bytearray(value)
    changed[_place(random, value)] ^= 1 << int(random.random() * 8)
    return bytes(changed)


def _replace_byte(random: Random, value: bytes) -> bytes:
    at = _place(random, value)
    return value[:at] + bytes([_one_of(random, _BYTES)]) + value[at + 1 :]


def _cut_off(random: Random, value: bytes) -> bytes:
    return value[: _place(random, value)]


def _remove(random: Random, value: bytes) -> bytes:
    at = _place(random, value)
    return value[:at] + value[at + _length(random) :]


def _repeat(random: Random, value: bytes) -> bytes:
    at = _place(random, value)
    return value[: at + _length(random)] + value[at:]


def _escape(random: Random, value: bytes) -> bytes:
    at = _place(random, value)
    return value[:at] + b"\\u%04x" % value[at] + value[at + 1 :]


def _insert(random: Random, value: bytes) -> bytes:
    return _with(value, _place(random, value), _one_of(random, _SNIPPETS))


def _insert_into_text(random: Random, value: bytes) -> bytes:
    at = value.find(b'"', _place(random, value)) + 1
    return _with(value, at, _one_of(random, _SNIPPETS))


def _insert_blank(random: Random, value: bytes) -> bytes:
    at = value.find(b'"', _place(random, value))
    return _with(value, max(0, at), _one_of(random, _BLANKS))


def _insert_member(random: Random, value: bytes) -> bytes:
    at = value.find(b',"', _place(random, value)) + 1
    return _with(value, at, _one_of(random, _MEMBERS)) if at else value


def _insert_nested(random: Random, value: bytes) -> bytes:
    at = value.find(b',"', _place(random, value)) + 1
    return _with(value, at, b'"deep":' + nested(random) + b",") if at else value


def _replace_value(random: Random, value: bytes) -> bytes:
    at = value.find(b":", _place(random, value)) + 1
    end = value.find(b",", at)
    return value[:at] + _one_of(random, _REPLACEMENTS) + value[end:] if at and end > 0 else value


_CHANGES: list[_Change] = [_cut_off, _remove, _repeat, _insert, _insert_nested]
_CHANGES += [_flip_bit, _replace_byte, _escape, _insert_blank, _replace_value] * 2
_CHANGES += [_insert_into_text, _insert_member] * 3


def _spliced(random: Random, value: bytes, other: bytes) -> bytes:
    return value[: _place(random, value)] + other[_place(random, other) :]


def _with(value: bytes, at: int, inserted: bytes) -> bytes:
    return value[:at] + inserted + value[at:]


def _place(random: Random, value: bytes) -> int:
    return int(random.random() * len(value))


def _length(random: Random) -> int:
    return 1 + int(random.random() ** 4 * 40)


def _one_of(random: Random, choices: Sequence[T]) -> T:
    """Return one of the choices, in a fourth of the time that `Random.choice` takes."""
    return choices[int(random.random() * len(choices))]
