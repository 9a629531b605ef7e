"""Reads a record in the simplest way: one rule after another. The first broken rule is the reason to refuse.

Nothing here comes from the tracker, so that its mistakes are not repeated. Where the contract does not say
which of two reasons wins, or what something means, this is the answer:

1.  The order of the rules: no value, too large, not UTF-8, too deep, not JSON, not an object, then the types
    of all fields (and the required `taskId`), then the version, the task's identifier, the destination, and
    at last what would be stored. Nesting is counted before parsing, so a deep and broken document is
    `too-deep`.
2.  An escaped lone surrogate, anywhere in the document, is `not-json`: UTF-8 cannot encode it.
3.  A whole number outside 64 bits is `wrong-type` in a whole-number field, including `version`. As a
    percentage it is a number like any other, so out of range. As an index it makes a `bad-job-task-id`.
    The exact limit between 64 bits and 5,000 digits does not matter, so the list of bad input avoids it.
4.  null is the same as absent, in every field.
5.  An empty `taskId` is present and is a string: it is accepted. An empty `jobTaskId` is present and
    malformed.
6.  An event without a classifier or `taskData`, or whose data has no `trackingReports`, lacks a required
    field; an empty list of reports is "no reports". `Progress` requires a percentage. The others can have
    one, which must be in range.
7.  100 levels means 100 indexes. A `jobTaskId` with NUL that is otherwise well formed is `nul-in-text`.
8.  A destination that differs only by case from another tracking topic, or from the dead-letter topic, is
    not allowed.
9.  Of `tracking.jobTaskId` of an event, only the type is checked.
10. Task data must be base64 only where it is read: in events, and in a failure that is reported. Only the
    standard alphabet with its padding is base64. Task data that is not UTF-8 is shown with replacement
    characters. No task data is an empty message.
11. NUL is refused in what is stored: identifiers and failure details. A correlation ID is only passed on.
12. A retry count that is missing or not a decimal number is 0. A rejection without a value has an empty
    reason.
13. If a header or a JSON field is there twice, the last one counts. It is also the last `tracking` that
    becomes null where tracking ends.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from tests.support.records import Headers, Record

HUNDRED = 100_000_000
"""100 %, in millionths of a percent."""

HIGHEST_PROGRESS = 99_900_000
HIGHEST_INDEX = 2_147_483_647


class Bad(Exception):
    """The tracker must refuse the record. `reason` is that of its dead letter."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason


@dataclass(frozen=True)
class Rules:
    """The settings that decide what is refused."""

    tracking_topics: tuple[str, ...] = ("tracking",)
    dead_letter_topic: str = "tracker-dead-letter"
    destinations: tuple[str, ...] = ()
    known_topics: frozenset[str] | None = None
    max_message_bytes: int = 1_000_000
    max_failure_chars: int = 10_000


class TaskName(NamedTuple):
    """The parts of a `jobTaskId`. `marks[i]`: whether index `path[i]` had a `*`."""

    partition_id: str
    job_id: str
    path: tuple[int, ...]
    marks: tuple[bool, ...]


@dataclass(frozen=True)
class Report:
    """A report on one task. `kind`: complete, failed, progress, or the reason why nothing is written."""

    task: TaskName
    kind: str
    progress: int = 0
    failure: Mapping[str, str | None] | None = None


@dataclass(frozen=True)
class Proxied:
    """A message for one of the users' workers."""

    to: str | None
    tracking_ends: bool
    report: Report | None
    value: bytes
    correlation_id: str | None
    marker: str | None = None


@dataclass(frozen=True)
class Event:
    """A message for the tracker."""

    reports: tuple[Report, ...]
    correlation_id: str | None


def read(record: Record, rules: Rules) -> Proxied | Event:
    """Read a record, or raise `Bad`."""
    if record.value is None:
        raise Bad("not-json", "a tombstone")
    if len(record.value) > rules.max_message_bytes:
        raise Bad("too-large")
    message = read_object(record.value)
    if is_a(message.get("version"), INTEGER) and message["version"] > 3:
        raise Bad("unknown-version")
    check_types(message)
    if same(message.get("to"), record.topic):
        return Event(read_event(message, rules), message.get("correlationId"))
    return read_proxied(record, message, rules)


# --- JSON


def read_object(value: bytes) -> dict[str, Any]:
    """Decode a JSON object."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Bad("not-json") from error
    if depth(text) > 200:
        raise Bad("too-deep")
    try:
        document = json.loads(text, parse_int=read_integer, parse_constant=refuse_constant)
        if "\\u" in text:
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    except ValueError as error:  # of which the errors of JSON and Unicode are kinds
        raise Bad("not-json") from error
    if not isinstance(document, dict):
        raise Bad("not-an-object")
    return document


def read_integer(digits: str) -> int:
    """Decode a whole number. One of hundreds of digits becomes one of a hundred: only its size matters."""
    if len(digits) > 100:
        return -(10**99) if digits.startswith("-") else 10**99
    return int(digits)


def refuse_constant(name: str) -> None:
    """Refuse NaN and the infinities, which Python accepts and JSON does not have."""
    raise ValueError(name)


def depth(text: str) -> int:
    """Count the levels of nesting: 1 for a flat object."""
    if text.count("[") + text.count("{") <= 200:
        return 0  # cannot be too deep
    level = deepest = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "[{":
            level += 1
            deepest = max(deepest, level)
        elif character in "]}":
            level -= 1
    return deepest


# --- types

TEXT, INTEGER, NUMBER, OBJECT, TIME, LIST = "text", "integer", "number", "object", "time", "list"

MESSAGE_FIELDS = {
    "version": INTEGER,
    "taskId": TEXT,
    "taskClassifier": TEXT,
    "taskApiVersion": INTEGER,
    "taskData": TEXT,
    "taskStatus": TEXT,
    "context": OBJECT,
    "to": TEXT,
    "tracking": OBJECT,
    "sourceInfo": OBJECT,
    "priority": INTEGER,
    "correlationId": TEXT,
}
TRACKING_FIELDS = {
    "jobTaskId": TEXT,
    "lastStatusCheckTime": TIME,
    "statusCheckIntervalMillis": INTEGER,
    "statusCheckUrl": TEXT,
    "trackingPipe": TEXT,
    "trackTo": TEXT,
}
SOURCE_FIELDS = {"name": TEXT, "version": TEXT}
REPORT_FIELDS = {
    "jobTaskId": TEXT,
    "status": TEXT,
    "estimatedPercentageCompleted": NUMBER,
    "retries": INTEGER,
    "failure": OBJECT,
}
FAILURE_FIELDS = {"failureId": TEXT, "failureTime": TIME, "failureSource": TEXT, "failureMessage": TEXT}
PROGRESS_FIELDS = {"jobTaskId": TEXT, "estimatedPercentageCompleted": NUMBER}


def check_types(message: dict[str, Any]) -> None:
    """Check each known field of a task message."""
    check_fields(message, MESSAGE_FIELDS)
    check_fields(message.get("tracking") or {}, TRACKING_FIELDS)
    check_fields(message.get("sourceInfo") or {}, SOURCE_FIELDS)
    require(message, "taskId")


def check_fields(value: dict[str, Any], fields: Mapping[str, str]) -> None:
    """Check the types of the fields that are present."""
    for name, kind in fields.items():
        if value.get(name) is not None and not is_a(value[name], kind):
            raise Bad("wrong-type", name)


def is_a(value: Any, kind: str) -> bool:
    """Return whether a JSON value is of this kind. true and false are not numbers."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    whole_64 = whole and -(2**63) <= value < 2**63
    return {
        TEXT: isinstance(value, str),
        INTEGER: whole_64,
        NUMBER: whole or isinstance(value, float),
        OBJECT: isinstance(value, dict),
        TIME: whole_64 or isinstance(value, float | str),  # kept as it came
        LIST: isinstance(value, list),
    }[kind]


def require(value: dict[str, Any], name: str) -> Any:
    """Return a required field."""
    if value.get(name) is None:
        raise Bad("missing-field", name)
    return value[name]


def same(one: str | None, other: str | None) -> bool:
    """Compare topics without case. null equals nothing."""
    return one is not None and other is not None and one.lower() == other.lower()


def read_base64(text: str) -> bytes:
    """Decode base64 strictly."""
    if len(text) % 4 or re.fullmatch("[A-Za-z0-9+/]*={0,2}", text) is None:
        raise Bad("wrong-type", "not base64")
    return base64.b64decode(text)


# --- identifiers

INDEX = re.compile(r"([1-9][0-9]{0,9})(\*?)", re.ASCII)
FORBIDDEN = set(".,:;*?!|()")


def read_task_name(text: str) -> TaskName:
    """Parse a `jobTaskId`."""
    if len(text) > 1000:
        raise Bad("bad-job-task-id", "too long")
    head, colon, rest = text.partition(":")
    partition_id, rest = (head, rest) if colon else ("default", text)
    job_id, *indexes = rest.split(".")
    if not is_name(partition_id, 40) or not is_name(job_id, 48) or len(indexes) > 100:
        raise Bad("bad-job-task-id")
    path, marks = [], []
    for index in indexes:
        match = INDEX.fullmatch(index)
        if match is None or int(match[1]) > HIGHEST_INDEX:
            raise Bad("bad-job-task-id", index)
        path.append(int(match[1]))
        marks.append(match[2] == "*")
    if "\0" in text:
        raise Bad("nul-in-text", "jobTaskId")
    return TaskName(partition_id, job_id, tuple(path), tuple(marks))


def is_name(text: str, longest: int) -> bool:
    """Return whether a text is a valid partition ID or job ID."""
    return 1 <= len(text) <= longest and not FORBIDDEN & set(text)


def check_destination(to: str, rules: Rules) -> None:
    """Refuse a topic that is no allowed destination."""
    legal = re.fullmatch(r"[a-zA-Z0-9._-]{1,249}", to) is not None and to not in {".", ".."}
    ours = any(same(to, topic) for topic in (*rules.tracking_topics, rules.dead_letter_topic))
    listed = not rules.destinations or any(matches(to, pattern) for pattern in rules.destinations)
    if not legal or to.startswith("__") or ours or not listed:
        raise Bad("destination-not-allowed", to)
    if rules.known_topics is not None and to not in rules.known_topics:
        raise Bad("destination-unknown", to)


def matches(to: str, pattern: str) -> bool:
    """Match a pattern in which `*` stands for anything."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), to) is not None


# --- proxied messages


def read_proxied(record: Record, message: dict[str, Any], rules: Rules) -> Proxied:
    """Read a message for one of the users' workers."""
    tracking = message.get("tracking") or {}
    to, track_to, name = message.get("to"), tracking.get("trackTo"), tracking.get("jobTaskId")
    task = None if name is None else read_task_name(name)
    if to is not None:
        check_destination(to, rules)
    report = None if task is None else read_report(message, task, record.headers, rules)
    value = record.value or b""
    if same(to, track_to):
        value = with_null_tracking(value)
    url = re.search(r"/status\?run=([0-9a-z]{1,13})\Z", tracking.get("statusCheckUrl") or "")
    marker = url[1] if url else None
    return Proxied(to, same(to, track_to), report, value, message.get("correlationId"), marker)


def read_report(message: dict[str, Any], task: TaskName, headers: Headers, rules: Rules) -> Report:
    """Return what a proxied message reports on its task."""
    status = message.get("taskStatus")
    reason = last_header(headers, "x-caf-worker-rejected")
    to, track_to = message.get("to"), message["tracking"].get("trackTo")
    if status in {"NEW_TASK", "RESULT_SUCCESS", "RESULT_FAILURE"}:
        ends = same(to, track_to) or (to is None and track_to is None)
        return Report(task, "complete" if ends else "in-progress")
    if status in {"RESULT_EXCEPTION", "INVALID_TASK"}:
        text = read_base64(message.get("taskData") or "").decode("utf-8", errors="replace")
        return Report(task, "failed", failure=failure(status, source_of(message), text, rules))
    if reason is not None:
        retries = last_header(headers, "x-caf-worker-retry") or ""
        times = int(retries) if re.fullmatch("[0-9]{1,18}", retries) else 0
        text = f"{reason}. Execution of this job task was retried {times} times."
        return Report(
            task, "failed", failure=failure("x-caf-worker-rejected", source_of(message), text, rules)
        )
    return Report(task, "retry")


def last_header(headers: Headers, name: str) -> str | None:
    """Return the last value of a header as text; None without the header."""
    values = [value or b"" for key, value in headers if key == name]
    return values[-1].decode(errors="replace") if values else None


def source_of(message: dict[str, Any]) -> str:
    """Return the name of the worker that failed."""
    if message.get("sourceInfo") is None:
        return "Unknown - no source info"
    name = message["sourceInfo"].get("name")
    return "Unknown - worker name not set" if name is None else str(name)


def failure(failure_id: str, source: str | None, text: str | None, rules: Rules) -> dict[str, str | None]:
    """Make the details of a failure. The note that a text was cut is not part of the contract."""
    if any("\0" in (part or "") for part in (failure_id, source, text)):
        raise Bad("nul-in-text", "failure")
    short = None if text is None else text[: rules.max_failure_chars]
    return {"failureId": failure_id, "failureSource": source, "failureMessage": short}


def with_null_tracking(value: bytes) -> bytes:
    """Replace the value of the last top-level field `tracking` by null. All other bytes stay the same."""
    text, decode = value.decode("utf-8"), json.JSONDecoder(parse_int=read_integer).raw_decode
    at, first, end_of_value = text.index("{") + 1, 0, 0
    while True:
        at = skip_space(text, at)
        key, at = decode(text, at)
        at = skip_space(text, skip_space(text, at) + 1)  # over the colon
        _, end = decode(text, at)
        if key == "tracking":
            first, end_of_value = at, end
        at = skip_space(text, end)
        if text[at] == "}":
            return (text[:first] + "null" + text[end_of_value:]).encode("utf-8")
        at += 1  # over the comma


def skip_space(text: str, at: int) -> int:
    """Return the position of the next character that is not a space."""
    while text[at] in " \t\r\n":
        at += 1
    return at


# --- events


def read_event(message: dict[str, Any], rules: Rules) -> tuple[Report, ...]:
    """Read a message for the tracker."""
    classifier = require(message, "taskClassifier")
    if classifier not in {"TrackingReportTask", "JobTrackingWorker"}:
        raise Bad("unknown-classifier", str(classifier))
    if (message.get("taskApiVersion") or 0) > 1:
        raise Bad("unknown-version")
    data = read_object(read_base64(require(message, "taskData")))
    if classifier == "JobTrackingWorker":
        check_fields(data, PROGRESS_FIELDS)
        return (read_progress(data, read_task_name(require(data, "jobTaskId"))),)
    check_fields(data, {"trackingReports": LIST})
    return tuple(read_event_report(each, rules) for each in require(data, "trackingReports"))


def read_event_report(report: Any, rules: Rules) -> Report:
    """Read one report of an event."""
    if not isinstance(report, dict):
        raise Bad("wrong-type", "trackingReports")
    check_fields(report, REPORT_FIELDS)
    details = report.get("failure") or {}
    check_fields(details, FAILURE_FIELDS)
    check_time(details.get("failureTime"))
    task, status = read_task_name(require(report, "jobTaskId")), require(report, "status")
    if status == "Progress" or report.get("estimatedPercentageCompleted") is not None:
        progress = read_progress(report, task)
    match status:
        case "Progress":
            return progress
        case "Complete":
            return Report(task, "complete")
        case "Retry":
            return Report(task, "retry")
        case "Failed":
            failure_id = details.get("failureId")
            shown = failure(
                "unspecified" if failure_id is None else failure_id,
                details.get("failureSource"),
                details.get("failureMessage"),
                rules,
            )
            return Report(task, "failed", failure=shown)
    raise Bad("wrong-type", "status")


def check_time(value: int | str | None) -> None:
    """Refuse a time that is neither a number nor an ISO 8601 string."""
    if isinstance(value, str):
        try:
            datetime.fromisoformat(value)
        except ValueError as error:
            raise Bad("wrong-type", "failureTime") from error


def read_progress(data: dict[str, Any], task: TaskName) -> Report:
    """Read a percentage as millionths of a percent: at most 99.9 %, and above 0 at least one millionth."""
    percentage = require(data, "estimatedPercentageCompleted")
    if not 0 <= percentage <= 100:
        raise Bad("percentage-out-of-range")
    if percentage == 0:
        return Report(task, "zero-progress")
    return Report(task, "progress", progress=min(max(round(percentage * 1_000_000), 1), HIGHEST_PROGRESS))
