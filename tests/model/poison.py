"""Records that must be refused, one for each mistake, and the reason that each must get.

Each is a sound message with one mistake, so that only this mistake is tested. `SOUND` has the sound messages
that they are made from, and near misses. The tracker reads them from the topic `tracking`. It has the
tracking topics `TRACKING_TOPICS`, the dead-letter topic `tracker-dead-letter`, no destination patterns, the
default sizes, and no other topics exist than `KNOWN_TOPICS`.

Where two reasons are possible, the list at the head of `reading.py` says which one is right.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.model.messages import (
    OMIT,
    dump,
    event,
    failure,
    progress_event,
    report,
    task_message,
    tracking_report,
)

TRACKING_TOPICS = ("tracking", "tracking-2")
KNOWN_TOPICS = frozenset({"worker-in", "worker-out", "t" * 249})

Headers = tuple[tuple[str, bytes | None], ...]


class Poison(NamedTuple):
    """A record's value and headers, and the reason to refuse it; empty if it is sound."""

    name: str
    value: bytes | None
    headers: Headers
    reason: str


TASK = "acme:job.1"


def huge_digits() -> str:
    """Return a whole number of 5,000 digits."""
    return "1" + "0" * 4_999


def with_digits(value: bytes, name: str, digits: str) -> bytes:
    """Replace the number in a field by digits that no JSON library writes."""
    document = json.loads(value)
    marker = 987_654_321
    set_field(document, name, marker)
    return dump(document).replace(str(marker).encode(), digits.encode())


def set_field(document: dict[str, Any], name: str, value: Any) -> None:
    """Set a field, which may be nested, such as `tracking.trackTo`."""
    *path, last = name.split(".")
    for step in path:
        document = document[step]
    document[last] = value


def changed(name: str, value: Any) -> bytes:
    """Build a message with one changed field."""
    document = json.loads(task_message(TASK))
    set_field(document, name, value)
    return dump(document)


def nested(levels: int) -> bytes:
    """Build a message with this many levels of nesting; the message itself is the first."""
    return changed("context", "DEEP").replace(b'"DEEP"', deep(levels - 1))


def deep(levels: int) -> bytes:
    """Build an object of this many levels."""
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


def padded(size: int) -> bytes:
    """Build a message of this many bytes."""
    value = changed("padding", "")
    return changed("padding", "x" * (size - len(value)))


# --- not a message at all


def not_json() -> Iterator[tuple[str, bytes | None]]:
    sound = task_message(TASK)
    yield "tombstone", None
    yield "empty value", b""
    yield "spaces only", b"  \n"
    yield "words", b"hello"
    yield "truncated", sound[:-1]
    yield "truncated in the middle of a string", sound[: len(sound) // 2]
    yield "trailing garbage", sound + b"x"
    yield "two objects", sound + sound
    yield "trailing NUL", sound + b"\0"
    yield "trailing comma", sound[:-1] + b",}"
    yield "single quotes", sound.replace(b'"', b"'")
    yield "comment", b"/* */" + sound
    yield "UTF-8 byte order mark", b"\xef\xbb\xbf" + sound
    yield "UTF-16 with byte order mark", sound.decode().encode("utf-16")
    yield "UTF-16 little-endian", sound.decode().encode("utf-16-le")
    yield "UTF-16 big-endian", sound.decode().encode("utf-16-be")
    yield "UTF-32", sound.decode().encode("utf-32")
    yield "gzip", b"\x1f\x8b\x08\x00" + sound
    for constant in ("NaN", "Infinity", "-Infinity"):
        yield f"{constant} as priority", with_digits(sound, "priority", constant)
        yield f"{constant} in the context", with_digits(sound, "context.x", constant)
    for digits in ("01", "+1", "1.", ".5", "0x10", "1e", "-", "1_000"):
        yield f"number {digits}", with_digits(sound, "priority", digits)
    for literal in ("True", "None", "undefined", "nul"):
        yield f"literal {literal}", with_digits(sound, "priority", literal)
    yield "bare line feed in a string", changed("taskId", "MARK").replace(b"MARK", b"a\nb")
    yield "bare NUL in a string", changed("taskId", "MARK").replace(b"MARK", b"a\0b")
    yield "unknown escape", changed("taskId", "MARK").replace(b"MARK", rb"\x41")
    yield "short escape", changed("taskId", "MARK").replace(b"MARK", rb"\u12")


def not_utf8() -> Iterator[tuple[str, bytes]]:
    wrong = {
        "stray byte": b"\xff",
        "lone continuation": b"\x80",
        "cut sequence": b"\xe2\x82",
        "overlong": b"\xc0\xaf",
        "surrogate as bytes": b"\xed\xa0\x80",
        "beyond Unicode": b"\xf4\x90\x80\x80",
    }
    fields = ("taskId", "correlationId", "unknown", "context.x", "sourceInfo.name", "tracking.x")
    for what, raw in wrong.items():
        for name in fields:
            yield f"invalid UTF-8 ({what}) in {name}", changed(name, "MARK").replace(b"MARK", raw)
    yield "invalid UTF-8 in a field's name", changed("MARK", 1).replace(b"MARK", b"\xff")
    yield "invalid UTF-8 outside strings", task_message(TASK)[:-1] + b"\xff}"
    for name in ("taskId", "to", "tracking.jobTaskId", "tracking.trackTo", "unknown", "context.x"):
        for what, escape in {"high": rb"\ud800", "low": rb"\udc00", "swapped": rb"\udc00\ud800"}.items():
            yield (
                f"lone surrogate ({what}) in {name}",
                changed(name, "MARK").replace(b"MARK", b"a" + escape + b"b"),
            )


def not_an_object() -> Iterator[tuple[str, bytes]]:
    for literal in ("[]", "[{}]", '"text"', "0", "-1.5", "true", "false", "null"):
        yield f"top level {literal}", literal.encode()
    yield "a list of messages", b"[" + task_message(TASK) + b"]"


def too_large() -> Iterator[tuple[str, bytes]]:
    yield "one byte too large", padded(1_000_001)
    yield "10 MB", padded(10_000_000)


def too_deep() -> Iterator[tuple[str, bytes]]:
    yield "201 levels", nested(201)
    yield "1,500 levels", nested(1_500)
    yield "100,000 levels", nested(100_000)
    yield "201 levels of lists", changed("context", {"x": "DEEP"}).replace(b'"DEEP"', b"[" * 199 + b"]" * 199)
    yield "201 levels in an unknown field", changed("unknown", "DEEP").replace(b'"DEEP"', deep(200))
    brackets = changed("context", {"a": "]}" * 300, "b": "DEEP"})
    yield "201 levels after brackets in a string", brackets.replace(b'"DEEP"', deep(199))
    for levels in (201, 100_000):
        data = b'{"jobTaskId":"acme:job.1","estimatedPercentageCompleted":5,"x":' + deep(levels - 1) + b"}"
        yield f"{levels} levels in an event's task data", event("JobTrackingWorker", data)


# --- fields


def missing_field() -> Iterator[tuple[str, bytes]]:
    yield "no taskId", task_message(TASK, taskId=OMIT)
    yield "taskId null", task_message(TASK, taskId=None)
    yield "an empty object", b"{}"
    yield "no taskId in an event", progress_event(TASK, 5, taskId=OMIT)
    for classifier in ("TrackingReportTask", "JobTrackingWorker"):
        yield f"{classifier} without task data", event(classifier, {}, taskData=OMIT)
        yield f"{classifier} with task data null", event(classifier, None)
        yield f"{classifier} with task data {{}}", event(classifier, {})
    yield "an event without classifier", event(None, {}, taskClassifier=OMIT)
    yield "an event with classifier null", event(None, {})
    yield "trackingReports null", event("TrackingReportTask", {"trackingReports": None})
    for absent in (OMIT, None):
        what = "no" if absent is OMIT else "null"
        yield f"{what} jobTaskId in progress", progress_event(absent, 5)
        yield f"{what} percentage in progress", progress_event(TASK, absent)
        yield f"{what} jobTaskId in a report", tracking_report(report(absent, "Complete"))
        yield f"{what} status in a report", tracking_report(report(TASK, absent))
        yield f"{what} percentage in a Progress report", tracking_report(report(TASK, "Progress", absent))
    yield (
        "second report without jobTaskId",
        tracking_report(report(TASK, "Complete"), report(OMIT, "Complete")),
    )


NOT_TEXT: tuple[Any, ...] = (5, 1.5, True, [], {}, ["x"])
NOT_INTEGER: tuple[Any, ...] = ("3", 1.5, 3.0, True, False, [], {})
NOT_OBJECT: tuple[Any, ...] = ("x", 5, True, [], [{}])
NOT_TIME: tuple[Any, ...] = (True, [], {})
NOT_NUMBER: tuple[Any, ...] = ("50", "", True, False, [50], {})
NOT_BASE64 = ("*", "A", "QUI", "QUI=x", "Q=I=", "=", "QUJD====", "Zm9v\n", " Zm9v", "Zm9_", "é")

WRONG_IN_MESSAGE: dict[str, tuple[Any, ...]] = {
    "version": NOT_INTEGER,
    "taskId": NOT_TEXT,
    "taskClassifier": NOT_TEXT,
    "taskApiVersion": NOT_INTEGER,
    "taskData": NOT_TEXT,
    "taskStatus": NOT_TEXT,
    "context": NOT_OBJECT,
    "to": NOT_TEXT,
    "tracking": NOT_OBJECT,
    "tracking.jobTaskId": NOT_TEXT,
    "tracking.lastStatusCheckTime": NOT_TIME,
    "tracking.statusCheckIntervalMillis": NOT_INTEGER,
    "tracking.statusCheckUrl": NOT_TEXT,
    "tracking.trackingPipe": NOT_TEXT,
    "tracking.trackTo": NOT_TEXT,
    "sourceInfo": NOT_OBJECT,
    "sourceInfo.name": NOT_TEXT,
    "sourceInfo.version": NOT_TEXT,
    "priority": NOT_INTEGER,
    "correlationId": NOT_TEXT,
}

INTEGER_FIELDS = (
    "version",
    "taskApiVersion",
    "priority",
    "tracking.statusCheckIntervalMillis",
    "tracking.lastStatusCheckTime",
)


def wrong_type() -> Iterator[tuple[str, bytes]]:
    for name, values in WRONG_IN_MESSAGE.items():
        for value in values:
            yield f"{name} is {value!r}", changed(name, value)
    for name in INTEGER_FIELDS:
        for digits in (huge_digits(), "-" + huge_digits(), "1e400"):
            if digits == "1e400" and name == "tracking.lastStatusCheckTime":
                continue
            shown = digits if len(digits) < 30 else f"{digits[:2]}... of 5,000 digits"
            yield f"{name} is {shown}", with_digits(task_message(TASK), name, digits)


def wrong_type_in_events() -> Iterator[tuple[str, bytes]]:
    for text in NOT_BASE64:
        yield f"JobTrackingWorker with task data {text!r}", event("JobTrackingWorker", {}, taskData=text)
        yield f"TrackingReportTask with task data {text!r}", event("TrackingReportTask", {}, taskData=text)
        failed = task_message(TASK, status="RESULT_EXCEPTION", taskData=text)
        yield f"RESULT_EXCEPTION with task data {text!r}", failed
        yield f"INVALID_TASK with task data {text!r}", failed.replace(b"RESULT_EXCEPTION", b"INVALID_TASK")
    for value in NOT_NUMBER:
        yield f"percentage {value!r} in progress", progress_event(TASK, value)
        yield f"percentage {value!r} in a report", tracking_report(report(TASK, "Progress", value))
        yield f"percentage {value!r} in a Complete report", tracking_report(report(TASK, "Complete", value))
    for value in NOT_TEXT:
        yield f"jobTaskId {value!r} in progress", progress_event(value, 5)
        yield f"jobTaskId {value!r} in a report", tracking_report(report(value, "Complete"))
        yield f"status {value!r} in a report", tracking_report(report(TASK, value))
        for name in ("failureId", "failureSource", "failureMessage"):
            yield (
                f"{name} {value!r}",
                tracking_report(report(TASK, "Failed", failure=failure(**{name: value}))),
            )
    for status in ("", "complete", "COMPLETE", "Done", "Completed", "Active", "Complete "):
        yield f"status {status!r} in a report", tracking_report(report(TASK, status))
    for value in NOT_INTEGER:
        yield f"retries {value!r}", tracking_report(report(TASK, "Retry", retries=value))
    for value in NOT_OBJECT:
        yield f"failure {value!r}", tracking_report(report(TASK, "Failed", failure=value))
        yield f"report {value!r}", tracking_report(value)
    for value in (*NOT_TIME, "yesterday", "", "2024-13-01T00:00:00Z"):
        yield (
            f"failureTime {value!r}",
            tracking_report(report(TASK, "Failed", failure=failure(failureTime=value))),
        )
    for value in ("x", 5, True, {}):
        yield f"trackingReports {value!r}", event("TrackingReportTask", {"trackingReports": value})
    huge = b'{"jobTaskId":"acme:job.1","status":"Retry","retries":%s}' % huge_digits().encode()
    yield "retries of 5,000 digits", event("TrackingReportTask", b'{"trackingReports":[%s]}' % huge)
    huge = (
        b'{"jobTaskId":"acme:job.1","status":"Failed","failure":{"failureTime":%s}}' % huge_digits().encode()
    )
    yield "failureTime of 5,000 digits", event("TrackingReportTask", b'{"trackingReports":[%s]}' % huge)
    good = report("acme:job.2", "Complete")
    yield "one bad report among good ones", tracking_report(good, report(TASK, 5), good)


def bad_json_in_events() -> Iterator[tuple[str, bytes]]:
    progress = dump({"jobTaskId": TASK, "estimatedPercentageCompleted": 5})
    reports = dump({"trackingReports": [report(TASK, "Complete")]})
    for classifier, sound in {"TrackingReportTask": reports, "JobTrackingWorker": progress}.items():
        yield f"{classifier} with empty task data", event(classifier, b"")
        yield f"{classifier} with words as task data", event(classifier, b"hello")
        yield f"{classifier} with truncated task data", event(classifier, sound[:-1])
        yield f"{classifier} with garbage after its task data", event(classifier, sound + b"x")
        yield f"{classifier} with UTF-16 task data", event(classifier, sound.decode().encode("utf-16"))
        yield f"{classifier} with a byte order mark", event(classifier, b"\xef\xbb\xbf" + sound)
        yield f"{classifier} with invalid UTF-8", event(classifier, sound[:-1] + b',"x":"\xff"}')
        yield f"{classifier} with a lone surrogate", event(classifier, sound[:-1] + rb',"x":"\ud800 "}')
        yield f"{classifier} with NaN", event(classifier, sound[:-1] + b',"x":NaN}')
    nan = progress.replace(b":5", b":NaN")
    yield "percentage NaN", event("JobTrackingWorker", nan)
    lone = rb'{"jobTaskId":"acme:job.1","status":"Failed","failure":{"failureMessage":"a\udc00b"}}'
    yield (
        "lone surrogate in failureMessage",
        event("TrackingReportTask", b'{"trackingReports":[' + lone + b"]}"),
    )


def no_object_in_events() -> Iterator[tuple[str, bytes]]:
    for classifier in ("TrackingReportTask", "JobTrackingWorker"):
        for literal in ("[]", '"x"', "5", "true", "null"):
            yield f"{classifier} with the JSON {literal} as task data", event(classifier, literal.encode())


# --- meaning

BAD_JOB_TASK_IDS = {
    "empty": "",
    "a dot": ".",
    "a colon": ":",
    "a star": "*",
    "a space is no index": "acme:job. ",
    "no partition ID before the colon": ":job.1",
    "no job ID": "acme:",
    "no job ID before the index": "acme:.1",
    "two colons": "acme:job:x.1",
    "three parts": "a:b:c",
    "dot in the partition ID": "ac.me:job.1",
    "empty index": "acme:job..1",
    "dot at the end": "acme:job.1.",
    "dot after the job": "acme:job.",
    "index 0": "acme:job.0",
    "index 0 below": "acme:job.1.0",
    "leading zero": "acme:job.01",
    "negative index": "acme:job.-1",
    "signed index": "acme:job.+1",
    "index with a point": "acme:job.1,5",
    "index with an underscore": "acme:job.1_0",
    "hexadecimal index": "acme:job.0x1",
    "exponent": "acme:job.1e3",
    "letters": "acme:job.one",
    "Arabic digits": "acme:job.\u0661",
    "full-width digit": "acme:job.\uff11",
    "superscript digit": "acme:job.\u00b2",
    "space before the index": "acme:job. 1",
    "space after the index": "acme:job.1 ",
    "line feed after the index": "acme:job.1\n",
    "two stars": "acme:job.1**",
    "star before the index": "acme:job.*1",
    "star alone": "acme:job.*",
    "star on the job": "acme:job*",
    "star on the job, with an index": "acme:job*.1",
    "star in the partition ID": "ac*me:job.1",
    "index beyond 32 bits": "acme:job.2147483648",
    "index beyond 64 bits": "acme:job.18446744073709551617",
    "index of 5,000 digits": "acme:job." + "9" * 5_000,
    "index of 900 digits": "acme:job." + "9" * 900,
    "101 levels": "acme:job" + ".1" * 101,
    "1,001 characters": "acme:job" + ".2147483647" * 90 + ".11",
    "partition ID of 41 characters": "p" * 41 + ":job.1",
    "job ID of 49 characters": "acme:" + "j" * 49 + ".1",
} | {f"{character} in the job ID": f"acme:j{character}ob.1" for character in ",;*?!|()"}


def bad_job_task_id() -> Iterator[tuple[str, bytes]]:
    for what, text in BAD_JOB_TASK_IDS.items():
        yield f"jobTaskId: {what}", task_message(text)
        yield f"jobTaskId in a report: {what}", tracking_report(report(text, "Complete"))
        yield f"jobTaskId in progress: {what}", progress_event(text, 5)
    yield "jobTaskId of a retry", task_message("acme:job.0", status=None)
    yield "jobTaskId of a task in progress", task_message("acme:job.0", to="worker-in")
    yield "jobTaskId with nothing to send", task_message("acme:job.0", to=None)
    yield (
        "jobTaskId in the second report",
        tracking_report(report(TASK, "Complete"), report("job.0", "Complete")),
    )


BAD_PERCENTAGES = ("-1", "-0.000001", "100.1", "101", "1e400", "-1e400", "1e300", "100.0000001", str(2**64))


def percentage_out_of_range() -> Iterator[tuple[str, bytes]]:
    for digits in (*BAD_PERCENTAGES, huge_digits(), "-" + huge_digits()):
        shown = digits if len(digits) < 30 else f"{digits[:2]}... of 5,000 digits"
        data = '{"jobTaskId":"acme:job.1","estimatedPercentageCompleted":%s}' % digits  # noqa: UP031 -- braces
        yield f"percentage {shown} in progress", event("JobTrackingWorker", data.encode())
        for status in ("Progress", "Complete"):
            one = data[:-1] + f',"status":"{status}"}}'
            reports = f'{{"trackingReports":[{one}]}}'
            yield f"percentage {shown} in a {status} report", event("TrackingReportTask", reports.encode())


def unknown_classifier() -> Iterator[tuple[str, bytes]]:
    data = {"jobTaskId": TASK, "estimatedPercentageCompleted": 5}
    for classifier in ("DocumentWorker", "", "trackingreporttask", "TrackingReportTask ", "Tracking"):
        yield f"classifier {classifier!r}", event(classifier, data)
    yield "another classifier, to the topic in capitals", event("DocumentWorker", data, to="TRACKING")


def unknown_version() -> Iterator[tuple[str, bytes]]:
    for version in (4, 5, 2**31, 2**63 - 1):
        yield f"version {version}", task_message(TASK, version=version)
        yield f"version {version} of an event", progress_event(TASK, 5, version=version)
        yield f"API version {version} of progress", progress_event(TASK, 5, api_version=version)
    yield "API version 2 of a report", tracking_report(report(TASK, "Complete"), api_version=2)
    # As in version 4 of the worker framework, in which task data is an object.
    yield "version 4 with other types", task_message(TASK, version=4, taskData={"a": [1]}, priority="high")
    yield "version 4 with other fields", task_message(TASK, version=4, taskId=OMIT, context=OMIT)
    yield "version 4 with other tracking", task_message(TASK, version=4, tracking=[{"jobTaskId": 1}])
    yield "version 4 of an event with other types", progress_event(TASK, 5, version=4, taskData={"a": 1})
    yield "version 4 to nowhere, of no task", task_message("a..b", to="nowhere", version=4)


BAD_DESTINATIONS = {
    "__consumer_offsets": "__consumer_offsets",
    "__transaction_state": "__transaction_state",
    "two underscores": "__",
    "empty": "",
    "a dot": ".",
    "two dots": "..",
    "path upwards": "../x",
    "slash": "a/b",
    "backslash": "a\\b",
    "space": "a b",
    "space in front": " worker-in",
    "line feed after it": "worker-in\n",
    "colon": "a:b",
    "comma": "a,b",
    "star": "*",
    "regular expression": "^worker.*",
    "umlaut": "w\u00f6rker",
    "NUL": "worker\0in",
    "NUL after it": "worker-in\0",
    "250 characters": "t" * 250,
    "300 characters": "t" * 300,
    "another tracking topic": "tracking-2",
    "another tracking topic in capitals": "TRACKING-2",
    "the dead-letter topic": "tracker-dead-letter",
}


def destination_not_allowed() -> Iterator[tuple[str, bytes]]:
    for what, to in BAD_DESTINATIONS.items():
        yield f"destination: {what}", task_message(TASK, to=to)
        yield f"destination, where tracking ends: {what}", task_message(TASK, to=to, track_to=to)
        yield f"destination, untracked: {what}", task_message(None, to=to, tracking=None)


def destination_unknown() -> Iterator[tuple[str, bytes]]:
    yield "a topic that does not exist", task_message(TASK, to="nowhere")
    yield "a topic that does not exist, untracked", task_message(None, to="nowhere", tracking=None)
    yield "a topic of another case", task_message(TASK, to="Worker-In")


def nul_in_text() -> Iterator[tuple[str, bytes]]:
    for name in ("acme:jo\0b.1", "ac\0me:job.1", "job\0"):
        yield f"NUL in jobTaskId {name!r}", task_message(name)
        yield f"NUL in jobTaskId {name!r} in a report", tracking_report(report(name, "Complete"))
        yield f"NUL in jobTaskId {name!r} in progress", progress_event(name, 5)
    for status in ("RESULT_EXCEPTION", "INVALID_TASK"):
        yield f"NUL in the task data of {status}", task_message(TASK, status=status, task_data=b"a\0b")
        source = {"name": "work\0er", "version": "1"}
        yield f"NUL in the source of {status}", task_message(TASK, status=status, sourceInfo=source)
    for name in ("failureId", "failureSource", "failureMessage"):
        yield f"NUL in {name}", tracking_report(report(TASK, "Failed", failure=failure(**{name: "a\0b"})))


REJECTED: Headers = (("x-caf-worker-rejected", b"too\0often"), ("x-caf-worker-retry", b"3"))

_BY_REASON = {
    "not-json": (not_json, not_utf8, bad_json_in_events),
    "not-an-object": (not_an_object, no_object_in_events),
    "too-large": (too_large,),
    "too-deep": (too_deep,),
    "missing-field": (missing_field,),
    "wrong-type": (wrong_type, wrong_type_in_events),
    "bad-job-task-id": (bad_job_task_id,),
    "percentage-out-of-range": (percentage_out_of_range,),
    "unknown-classifier": (unknown_classifier,),
    "unknown-version": (unknown_version,),
    "destination-not-allowed": (destination_not_allowed,),
    "destination-unknown": (destination_unknown,),
    "nul-in-text": (nul_in_text,),
}

POISON = [
    *(
        Poison(name, value, (), reason)
        for reason, makers in _BY_REASON.items()
        for maker in makers
        for name, value in maker()
    ),
    Poison("NUL in the header that rejects", task_message(TASK, status=None), REJECTED, "nul-in-text"),
]


# --- near misses


def sound_messages() -> Iterator[tuple[str, bytes]]:
    yield "completes", task_message(TASK)
    yield "in progress", task_message(TASK, to="worker-in")
    yield "nothing to send", task_message(TASK, to=None, track_to=None)
    yield "realistic", task_message(TASK, realistic=True)
    yield "untracked", task_message(None, tracking=None)
    yield "no jobTaskId", task_message(None)
    yield "tracking left out", task_message(None, tracking=OMIT)
    yield "only what is required", dump({"taskId": "x", "to": "worker-in"})
    yield "an empty taskId", task_message(TASK, taskId="")
    yield "spaces around", b" \r\n\t" + task_message(TASK) + b"\n"
    yield "unknown status", task_message(TASK, status="RESULT_MAYBE")
    yield "as large as allowed", padded(1_000_000)
    yield "as deep as allowed", nested(200)
    yield "brackets in a string", changed("context", {"x": '\\"' + "[{" * 500})
    yield "a surrogate pair", changed("taskId", "MARK").replace(b"MARK", rb"\ud83d\ude00")
    yield "NUL in a field that is not stored", changed("context", {"x": "a\0b"})
    yield "no version", task_message(TASK, version=OMIT)
    yield "task data of a worker that is no base64", task_message(TASK, taskData="*")
    yield "topic of 249 characters", task_message(TASK, to="t" * 249)
    yield "no source", task_message(TASK, status="RESULT_EXCEPTION", sourceInfo=None)
    yield "no task data", task_message(TASK, status="RESULT_EXCEPTION", task_data=None)
    for version in (2, 1, 0, -1):
        yield f"version {version}", task_message(TASK, version=version)
    for time in ("2024-02-29T12:00:00.000Z", "2024-02-29T12:00:00+01:00", 0, -1, None):
        yield (
            f"failure time {time}",
            tracking_report(report(TASK, "Failed", failure=failure(failureTime=time))),
        )
        yield f"last check {time}", changed("tracking.lastStatusCheckTime", time)
    for percentage in (0, 100, 0.1, 99.99, 1e-9, 100.0, -0.0):
        yield f"progress {percentage}", progress_event(TASK, percentage)
    for name in (
        "job",
        "job.1",
        "p:j",
        "acme:job.2147483647",
        "a b:c d.1",
        "acme:job-7.3.12*",
        "\u00e9:\u00fc.1*.2",
    ):
        yield f"jobTaskId {name}", task_message(name)
    yield "jobTaskId of 100 levels", task_message("acme:job" + ".1" * 100)
    yield "jobTaskId of 1,000 characters", task_message("acme:job" + ".2147483647" * 90 + ".1")
    yield "names as long as allowed", task_message("p" * 40 + ":" + "j" * 48 + ".1")
    yield "no reports", tracking_report()
    yield "a failure without details", tracking_report(report(TASK, "Failed"))
    yield "a retry", tracking_report(report(TASK, "Retry", retries=3))
    yield "progress, to the topic in capitals", progress_event(TASK, 5, to="TRACKING")
    for api_version in (0, -1, None):
        yield f"API version {api_version}", progress_event(TASK, 5, taskApiVersion=api_version)
    yield "no API version", progress_event(TASK, 5, taskApiVersion=OMIT)


SOUND = [Poison(name, value, (), "") for name, value in sound_messages()]
