"""The task message, which is the value of every record."""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import msgspec

from tracker.messages.refusal import Reason, RecordRefused

NEWEST_VERSION = 3
MAX_DEPTH = 200
_MIN_NESTED_BYTES = 5 * MAX_DEPTH  # a level takes at least `{"":` and `}`, if it is not a list

DONE_STATUSES = frozenset({"NEW_TASK", "RESULT_SUCCESS", "RESULT_FAILURE"})
FAILED_STATUSES = frozenset({"RESULT_EXCEPTION", "INVALID_TASK"})
REJECTED_HEADER = "x-caf-worker-rejected"
RETRY_HEADER = "x-caf-worker-retry"


class OpaqueObject(msgspec.Struct, gc=False):
    """A JSON object whose content is not read."""


class SourceInfo(msgspec.Struct, gc=False):
    """The worker that sent the message."""

    name: str | None = None
    version: str | None = None


class Tracking(msgspec.Struct, gc=False):
    """The task that a message is about, and where its tracking ends."""

    jobTaskId: str | None = None
    lastStatusCheckTime: int | float | str | None = None
    statusCheckIntervalMillis: int | None = None
    statusCheckUrl: str | None = None
    trackingPipe: str | None = None
    trackTo: str | None = None


class TaskMessage(msgspec.Struct, gc=False):
    """The fields that the tracker reads of a task message; all others are forwarded unread."""

    taskId: str
    version: int | None = None
    taskClassifier: str | None = None
    taskApiVersion: int | None = None
    taskData: str | None = None  # base64; decoded only if it is needed
    taskStatus: str | None = None
    context: OpaqueObject | None = None
    to: str | None = None
    tracking: Tracking | None = None
    sourceInfo: SourceInfo | None = None
    priority: int | None = None
    correlationId: str | None = None


class _Version(msgspec.Struct, gc=False):
    version: int | None = None


class _CorrelationId(msgspec.Struct, gc=False):
    correlationId: str | None = None


_decode_correlation_id = msgspec.json.Decoder(_CorrelationId).decode
_decode_version = msgspec.json.Decoder(_Version).decode
_decode_message = msgspec.json.Decoder(TaskMessage).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET_OF_LIST = ord("[")  # `in` finds a number in 20 ns, and a byte string in 140
_BRACKET = re.compile(rb"[{}\[\]]")
_NULL_FIELD = re.compile(r"got `null` - at `.*[^\]]`$")  # of an object, not of a list
_UNDECODABLE = (msgspec.MsgspecError, RecursionError, UnicodeError)

T = TypeVar("T")


def decode_message(value: bytes) -> TaskMessage:
    """Return the message.

    :raises RecordRefused: the value is not JSON, is not an object, or is nested too deeply; a field is
        missing or has another type; or the version is newer than this program knows.
    """
    try:
        message = _decode_message(value)
    except _UNDECODABLE as error:
        raise _refusal_of(value, error, "the value", _newer_version_in) from None
    # To count the brackets takes as long as to decode the message, so short messages skip it.
    if (
        not value.isascii()
        or _BRACKET_OF_LIST in value
        or (len(value) > _MIN_NESTED_BYTES and value.count(b"{") > MAX_DEPTH)
    ):
        _require_valid(value, "the value")
    if message.version is not None and message.version > NEWEST_VERSION:
        raise _newer(message.version)
    return message


def correlation_id_of(value: bytes) -> str | None:
    """Return the `correlationId` of a message that `decode_message` has accepted."""
    return _decode_correlation_id(value).correlationId


def _newer_version_in(value: bytes) -> RecordRefused | None:
    """Return the refusal of a newer version, in which any other field may be different."""
    with suppress(*_UNDECODABLE):
        version = _decode_version(value).version
        if version is not None and version > NEWEST_VERSION:
            return _newer(version)
    return None


def _newer(version: int) -> RecordRefused:
    return RecordRefused(
        Reason.UNKNOWN_VERSION, f"the message has version {version}; the newest known is {NEWEST_VERSION}"
    )


def decode_json(decode: Callable[[bytes], T], value: bytes, what: str) -> T:
    """Decode `value` with a decoder of msgspec; `what` names the value in a refusal.

    :raises RecordRefused: the value is not JSON, is not an object, or is nested too deeply; or a field is
        missing or has another type.
    """
    try:
        decoded = decode(value)
    except _UNDECODABLE as error:
        raise _refusal_of(value, error, what, lambda _: None) from None
    _require_valid(value, what)
    return decoded


def _refusal_of(
    value: bytes, error: Exception, what: str, newer_version_in: Callable[[bytes], RecordRefused | None]
) -> RecordRefused:
    """Return the most basic mistake: msgspec stops at a wrong type before it sees a later syntax error."""
    if not isinstance(error, RecursionError):
        try:
            _require_valid(value, what)
            _decode_members(value)
            return newer_version_in(value) or _translated(error, what)
        except RecordRefused as refused:
            return refused
        except _UNDECODABLE as earlier_error:
            return _translated(
                earlier_error, what
            )  # a local variable for it would make a reference cycle with this frame
    return _translated(error, what)


def _translated(error: Exception, what: str) -> RecordRefused:
    """Translate an error of msgspec."""
    text = str(error)
    if isinstance(error, RecursionError):
        return RecordRefused(Reason.TOO_DEEP, f"{what} is nested more than {MAX_DEPTH} levels deep")
    if not isinstance(error, msgspec.ValidationError):
        return RecordRefused(Reason.NOT_JSON, f"{what} is not JSON: {text}")
    if "missing required field" in text or _NULL_FIELD.search(text):
        return RecordRefused(Reason.MISSING_FIELD, f"{what}: {text}")
    if "Expected `object`" in text and " - at " not in text:
        return RecordRefused(Reason.NOT_AN_OBJECT, f"{what} is not a JSON object: {text}")
    if "out of range" in text and text.endswith(".estimatedPercentageCompleted`"):
        return RecordRefused(Reason.PERCENTAGE_OUT_OF_RANGE, f"{what}: {text}")
    return RecordRefused(Reason.WRONG_TYPE, f"{what}: {text}")


def _require_valid(value: bytes, what: str) -> None:
    """Refuse what msgspec does not check in parts that it skips: bytes that are not UTF-8, and depth."""
    if not value.isascii():
        try:
            value.decode("utf-8")
        except UnicodeDecodeError as error:
            reason = f"{what} is not UTF-8: byte {error.start}: {error.reason}"
            raise RecordRefused(Reason.NOT_JSON, reason) from None
    if value.count(b"{") + value.count(b"[") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub(b"", value)):
        depth += 1 if bracket[0] in b"{[" else -1
        if depth > MAX_DEPTH:
            raise RecordRefused(Reason.TOO_DEEP, f"{what} is nested more than {MAX_DEPTH} levels deep")
