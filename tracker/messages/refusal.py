"""Why a record is refused, and the dead letter that says so."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

Headers = list[tuple[str, bytes | None]]

MAX_DETAIL_CHARS = 1_000
_COUNT = "tracker-error-count"
_TRUNCATED = "tracker-error-truncated"


class Reason(StrEnum):
    """The stable code of a refusal, in the header `tracker-error-reason`."""

    NOT_JSON = "not-json"
    NOT_AN_OBJECT = "not-an-object"
    MISSING_FIELD = "missing-field"
    WRONG_TYPE = "wrong-type"
    BAD_JOB_TASK_ID = "bad-job-task-id"
    PERCENTAGE_OUT_OF_RANGE = "percentage-out-of-range"
    UNKNOWN_CLASSIFIER = "unknown-classifier"
    UNKNOWN_VERSION = "unknown-version"
    NUL_IN_TEXT = "nul-in-text"
    TOO_LARGE = "too-large"
    TOO_DEEP = "too-deep"
    DESTINATION_NOT_ALLOWED = "destination-not-allowed"
    DESTINATION_UNKNOWN = "destination-unknown"
    DATABASE_REJECTED = "database-rejected"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a record or a destination is refused: a reason, and one sentence.

    It is a value, which may be kept and shared. An exception may not: each raise adds frames to its
    traceback, and their locals hold the record.
    """

    reason: Reason
    detail: str


class RecordRefused(Exception):
    """A record cannot be honoured. Only the `refusal` outlives the handling of it."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.refusal = Refusal(reason, detail)


UNREADABLE_HEADERS = "tracker-headers-unreadable"
"""Stands, alone, for the headers of a record that has one whose name is not UTF-8: librdkafka's Python client
cannot hand those over, so they cannot be sent on."""


def dead_letter_headers(
    headers: Sequence[tuple[str, bytes | None]] | None,
    refusal: Refusal,
    source: Sequence[tuple[str, object]],
) -> Headers:
    """Return the headers of the dead letter: the record's own, and why and where it was refused.

    `source` names where it was read: pairs for ``topic``, ``partition``, ``offset``, ``timestamp``, and
    ``group``. The headers of an earlier refusal are replaced, and counted up.
    """
    count = 1
    kept: Headers = []
    for name, value in headers or ():
        if name == _COUNT:
            count = _counted(value) + 1
        elif not _is_ours(name):
            kept.append((name, value))
    kept.append(("tracker-error-reason", refusal.reason.value.encode()))
    kept.append(("tracker-error-detail", _one_sentence(refusal.detail).encode("utf-8", "replace")))
    for name, value_of in source:
        prefix = "tracker-" if name == "group" else "tracker-source-"
        kept.append((prefix + name, str(value_of).encode("utf-8", "replace")))
    kept.append((_COUNT, str(count).encode()))
    return kept


def truncated_header(size_bytes: int) -> tuple[str, bytes]:
    """Return the header of a dead letter that was cut to fit its topic: the value's full size."""
    return _TRUNCATED, str(size_bytes).encode()


def _is_ours(name: str) -> bool:
    return name.startswith(("tracker-error-", "tracker-source-")) or name == "tracker-group"


def _counted(value: bytes | None) -> int:
    text = (value or b"").decode("ascii", "replace")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _one_sentence(detail: str) -> str:
    cleaned = "".join(
        c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in detail[: 2 * MAX_DETAIL_CHARS]
    )
    return cleaned if len(cleaned) <= MAX_DETAIL_CHARS else cleaned[: MAX_DETAIL_CHARS - 1] + "…"
