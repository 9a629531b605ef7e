"""Records that are not JSON, no JSON object, too large or too deep, each with a name."""

from collections.abc import Iterator

from tests.support.messages import dump, event, report, task_message
from tests.support.model.changed_messages import TASK, changed, deep, nested, padded, with_digits


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


# --- in the task data of events


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
