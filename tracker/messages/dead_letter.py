"""The headers of a dead letter: where its record was read, and why it was refused.

The names are part of the contract: `docs/message-format.md` lists them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tracker.messages.refusal import Refusal

Header = tuple[str, bytes | None]
Headers = list[Header]


class Source(NamedTuple):
    """Where a record was read. The headers have the names that Kafka's tools use."""

    topic: str
    partition: int
    offset: int
    timestamp: int  # ms since 1970; -1: unknown, as in Kafka


@dataclass(frozen=True, slots=True)
class RefusalHeaders:
    """What the headers of a dead letter say."""

    reason: str  # a `Reason`, or one of another version
    detail: str
    count: int  # how often the record was refused; 0: it is not said
    source: Source | None
    group_id: str | None
    full_size_bytes: int | None  # of the value, if that was cut


MAX_DETAIL_CHARS = 1_000
_MAX_REASON_CHARS = 100
_REASON = "tracker-error-reason"
_DETAIL = "tracker-error-detail"
_SOURCE = "tracker-source-"
_GROUP = "tracker-group"
_COUNT = "tracker-error-count"
_TRUNCATED = "tracker-error-truncated"
_HEADERS_DROPPED = "tracker-error-headers-dropped"
_HEADERS_UNREADABLE = "tracker-error-headers-unreadable"
_KEY_REPLACED = "tracker-error-key-replaced"
_LOST = {_KEY_REPLACED: "key", _TRUNCATED: "value", _HEADERS_DROPPED: "headers"}

UNREADABLE_HEADERS: Headers = []
"""This list object stands for the headers of a record if the name of one is not UTF-8: librdkafka's Python
client cannot return such headers, so they cannot be forwarded. A special header name could not stand for
them, because a record may have a header of that name itself, and a replayed dead letter would."""


def dead_letter_headers(
    headers: Sequence[tuple[str, bytes | None]] | None,
    refusal: Refusal,
    source: Source,
    group_id: str,
) -> tuple[Headers, Headers]:
    """Return the headers of a dead letter in two lists: the record's own, and those of the refusal.

    The headers of an earlier refusal are replaced, and the count of refusals grows.
    """
    count = 1
    kept: Headers = []
    unreadable = headers is UNREADABLE_HEADERS
    for name, value in [] if headers is None or unreadable else headers:
        if name == _COUNT:
            count = _count_in(value) + 1
        elif not _is_from_refusal(name):
            kept.append((name, value))
    added: Headers = [
        (_REASON, refusal.reason.value.encode()),
        (_DETAIL, _one_sentence(refusal.detail).encode("utf-8", "replace")),
    ]
    for name, text in zip(Source._fields, source, strict=True):
        added.append((_SOURCE + name, str(text).encode("utf-8", "replace")))
    added.append((_GROUP, group_id.encode("utf-8", "replace")))
    added.append((_COUNT, str(count).encode()))
    if unreadable:
        added.append((_HEADERS_UNREADABLE, None))
    return kept, added


def read_dead_letter_headers(headers: Sequence[tuple[str, bytes | None]] | None) -> RefusalHeaders | None:
    """Return what the headers of a dead letter say; None: the tracker did not write them.

    Others may write to the topic too, so each header may be malformed, or missing.
    """
    if not headers:
        return None
    found = dict(headers)  # of several with one name the last counts: ours come after the record's own
    if _REASON not in found:
        return None
    return RefusalHeaders(
        _text(found[_REASON])[:_MAX_REASON_CHARS],
        _text(found.get(_DETAIL))[:MAX_DETAIL_CHARS],
        _count_in(found.get(_COUNT)),
        _source_in(found),
        _text(found[_GROUP]) if _GROUP in found else None,
        _number(found.get(_TRUNCATED)),
    )


def lost_parts(headers: Sequence[tuple[str, bytes | None]]) -> list[str]:
    """Return which of key, value and headers a dead letter does not have whole, because they did not fit."""
    return [_LOST[name] for name, _ in headers if name in _LOST]


def key_for_compaction(source: Source) -> bytes:
    """Return the key that a dead letter gets if its record has none and the topic needs one."""
    return ":".join(map(str, source[:3])).encode()


def replayed_headers(headers: Sequence[tuple[str, bytes | None]]) -> Headers:
    """Return the headers with which a dead letter goes back: the record's own, and the count of refusals."""
    return [header for header in headers if header[0] == _COUNT or not _is_from_refusal(header[0])]


def forwarded_headers(headers: Sequence[tuple[str, bytes | None]]) -> Sequence[tuple[str, bytes | None]]:
    """Return the headers with which a record is forwarded: all but the count of refusals.

    A replayed record has that count. In the topic of a worker it says nothing, and if the worker copied it
    into its next message, that would begin with the refusals of another.
    """
    for name, _ in headers:
        if name == _COUNT:
            return [header for header in headers if header[0] != _COUNT]
    return headers


def truncated_header(size_bytes: int) -> tuple[str, bytes]:
    """Return the header of a dead letter whose value was cut to fit its topic: the full size."""
    return _TRUNCATED, str(size_bytes).encode()


def headers_dropped_header(count: int, size_bytes: int, digest: str) -> tuple[str, bytes]:
    """Return the header of a dead letter whose record's headers do not fit its topic: count, size, digest."""
    return _HEADERS_DROPPED, f"{count} headers, {size_bytes} bytes, sha256 {digest}".encode()


def key_replaced_header(size_bytes: int, digest: str) -> tuple[str, bytes]:
    """Return the header of a dead letter whose record's key does not fit its topic: size and digest."""
    return _KEY_REPLACED, f"{size_bytes} bytes, sha256 {digest}".encode()


def _is_from_refusal(name: str) -> bool:
    return name.startswith(("tracker-error-", _SOURCE)) or name == _GROUP


def _source_in(found: dict[str, bytes | None]) -> Source | None:
    topic, *texts = (found.get(_SOURCE + name) for name in Source._fields)
    partition, offset, timestamp = map(_number, texts)
    if topic is None or partition is None or offset is None:
        return None
    return Source(_text(topic), partition, offset, -1 if timestamp is None else timestamp)


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")


def _number(value: bytes | None) -> int | None:
    text = _text(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None


def _count_in(value: bytes | None) -> int:
    text = (value or b"").decode("ascii", "replace")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _one_sentence(detail: str) -> str:
    cleaned = "".join(
        c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in detail[: 2 * MAX_DETAIL_CHARS]
    )
    return cleaned if len(cleaned) <= MAX_DETAIL_CHARS else cleaned[: MAX_DETAIL_CHARS - 1] + "…"
