"""The task message: the envelope that every record is."""

import re

import msgspec

from tracker.messages.refusal import Reason, Refused

NEWEST_VERSION = 3
MAX_DEPTH = 200

DONE_STATUSES = frozenset({"NEW_TASK", "RESULT_SUCCESS", "RESULT_FAILURE"})
FAILED_STATUSES = frozenset({"RESULT_EXCEPTION", "INVALID_TASK"})
REJECTED_HEADER = "x-caf-worker-rejected"
RETRY_HEADER = "x-caf-worker-retry"


class OpaqueObject(msgspec.Struct, gc=False):
    """A JSON object that is nobody's business here."""


class SourceInfo(msgspec.Struct, gc=False):
    """The worker that sent the message."""

    name: str | None = None
    version: str | None = None


class Tracking(msgspec.Struct, gc=False):
    """Which task the message is about, and where its tracking ends."""

    jobTaskId: str | None = None
    lastStatusCheckTime: int | float | str | None = None
    statusCheckIntervalMillis: int | None = None
    statusCheckUrl: str | None = None
    trackingPipe: str | None = None
    trackTo: str | None = None


class TaskMessage(msgspec.Struct, gc=False):
    """What the tracker reads of a task message; the rest is passed over, and forwarded as it came."""

    taskId: str
    version: int | None = None
    taskClassifier: str | None = None
    taskApiVersion: int | None = None
    taskData: str | None = None  # base64; decoded only where it is needed
    taskStatus: str | None = None
    context: OpaqueObject | None = None
    to: str | None = None
    tracking: msgspec.Raw = msgspec.Raw(b"null")
    sourceInfo: SourceInfo | None = None
    priority: int | None = None
    correlationId: str | None = None


_decode_message = msgspec.json.Decoder(TaskMessage).decode
_decode_tracking = msgspec.json.Decoder(Tracking | None).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(rb"[{}\[\]]")


def decode_message(value: bytes) -> tuple[TaskMessage, Tracking | None]:
    """Return the message, and its tracking where it has one.

    :raises Refused: not JSON, not an object, too deep, a field is missing or has another type, or the
        version is newer than this program knows.
    """
    try:
        message = _decode_message(value)
        tracking = _decode_tracking(message.tracking)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise _why_undecodable(value, error) from None
    # msgspec does not look at what it skips, beyond its grammar: 20 ns for the common case.
    if not value.isascii():
        _require_utf8(value)
    if value.count(b"{") + value.count(b"[") > MAX_DEPTH:
        _require_shallow(value)
    if message.version is not None and message.version > NEWEST_VERSION:
        raise Refused(
            Reason.UNKNOWN_VERSION,
            f"the message has version {message.version}; the newest known is {NEWEST_VERSION}",
        )
    return message, tracking


def refusal_of(error: Exception, where: str) -> Refused:
    """Translate msgspec's word on JSON that does not fit its type; `where` names the JSON."""
    text = str(error)
    if isinstance(error, RecursionError):
        return Refused(Reason.TOO_DEEP, f"{where} is nested more than {MAX_DEPTH} levels deep")
    if not isinstance(error, msgspec.ValidationError):
        return Refused(Reason.NOT_JSON, f"{where} is not JSON: {text}")
    if "missing required field" in text or "got `null`" in text:
        return Refused(Reason.MISSING_FIELD, f"{where}: {text}")
    if "Expected `object`" in text and " - at " not in text:
        return Refused(Reason.NOT_AN_OBJECT, f"{where} is not a JSON object: {text}")
    return Refused(Reason.WRONG_TYPE, f"{where}: {text}")


def _why_undecodable(value: bytes, error: Exception) -> Refused:
    """Find what is wrong first of all: msgspec stops at a wrong type before it sees a later syntax error."""
    where = "the value"
    if isinstance(error, RecursionError):
        return refusal_of(error, where)
    try:
        _require_utf8(value)
        _decode_members(value)
        _require_shallow(value)
    except Refused as refused:
        return refused
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as syntax_error:
        return refusal_of(syntax_error, where)
    return refusal_of(error, where)


def _require_utf8(value: bytes) -> None:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(
            Reason.NOT_JSON, f"the value is not UTF-8: byte {error.start}: {error.reason}"
        ) from None


def _require_shallow(value: bytes) -> None:
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub(b"", value)):
        depth += 1 if bracket[0] in b"{[" else -1
        if depth > MAX_DEPTH:
            raise Refused(Reason.TOO_DEEP, f"the value is nested more than {MAX_DEPTH} levels deep")
