"""The headers of a dead letter: where its record was read, and why it was refused.

The names are part of the contract: `docs/message-format.md` lists them.
"""

from collections.abc import Sequence
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


MAX_DETAIL_CHARS = 1_000
_COUNT = "tracker-error-count"
_TRUNCATED = "tracker-error-truncated"
_HEADERS_DROPPED = "tracker-error-headers-dropped"
_HEADERS_UNREADABLE = "tracker-error-headers-unreadable"
_KEY_REPLACED = "tracker-error-key-replaced"

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
        ("tracker-error-reason", refusal.reason.value.encode()),
        ("tracker-error-detail", _one_sentence(refusal.detail).encode("utf-8", "replace")),
    ]
    for name, text in zip(Source._fields, source, strict=True):
        added.append((f"tracker-source-{name}", str(text).encode("utf-8", "replace")))
    added.append(("tracker-group", group_id.encode("utf-8", "replace")))
    added.append((_COUNT, str(count).encode()))
    if unreadable:
        added.append((_HEADERS_UNREADABLE, None))
    return kept, added


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
    return name.startswith(("tracker-error-", "tracker-source-")) or name == "tracker-group"


def _count_in(value: bytes | None) -> int:
    text = (value or b"").decode("ascii", "replace")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _one_sentence(detail: str) -> str:
    cleaned = "".join(
        c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in detail[: 2 * MAX_DETAIL_CHARS]
    )
    return cleaned if len(cleaned) <= MAX_DETAIL_CHARS else cleaned[: MAX_DETAIL_CHARS - 1] + "…"
