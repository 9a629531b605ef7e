"""Makes the JSON texts of task messages at random: good ones of all shapes, and some with other fields."""

import base64
import json
import re
from copy import copy
from random import Random
from typing import Any

from tracker.messages.run_marker import marked_status_url

Document = dict[str, Any]

TRACKING_TOPIC, OTHER_TRACKING_TOPIC = "tracking", "tracking-2"
UNKNOWN_TOPIC = "unknown"

# fmt: off
NUMBERS = [0, 1, -1, 2, 3, 4, 100, 1_700_000_000_000, 10**17, 10**18, 10**30, 0.5, -1.5]
NUMBERS += [sign * (2**bits + by) for bits in (31, 53, 63, 64) for by in (-1, 0, 1) for sign in (1, -1)]
TOKENS = [
    "-0", "1.0", "3.0", "4.0", "1e2", "1E+2", "1e-2", "-1.5", "0.0", "1e400", "-1e400", "123456789012345678",
    "1234567890123456789", "9" * 30, "1" * 400, "0." + "1" * 400, "01", "1.", ".5", "+1", "-", "1e", "1e+",
    "0x1", "NaN", "Infinity", "-Infinity", "tru", "nul", "nullx", "True",
]
"""What stands where a value should: numbers in other notations, and what is no JSON."""
TEXTS = [
    "", "text", "größe", "\u2028", "\U0001f600", 'a "quote" \\ / \b\f\n\r\t', "\x7f", "x" * 70, "tracking",
    "null", "{", "}",
]
FIELDS = [
    "version", "taskId", "taskClassifier", "taskApiVersion", "taskData", "taskStatus", "context", "to",
    "tracking", "sourceInfo", "priority", "correlationId", "jobTaskId", "lastStatusCheckTime",
    "statusCheckIntervalMillis", "statusCheckUrl", "trackingPipe", "trackTo", "name",
]

_SIMPLE: list[list[Any]] = [TEXTS, TEXTS, NUMBERS, [None, True, False, [], {}]]
_JOBS = ["acme:job"] * 6 + ["job", "acme:job-2", "größe:ä", "y" * 40 + ":" + "j" * 48]
_BAD_JOBS = [
    "", ":", "acme:", ":job", "a:b:c", "a,b", "j?", "j\0", " ", "j\n",
    "y" * 41 + ":j", "j" * 49, "ü" * 49,
]
_INDEXES = ["1", "2", "3", "4", "17", "300", "5000", "2147483647"]
_BAD_INDEXES = [
    "", " 1", "1 ", "\u0661", "0", "01", "-1", "+1", "1,2", "1**", "*", "*1", "2147483648", "12345678901",
    "1\0",
]
_TOPICS = ["worker-out"] * 20 + ["worker-in"] * 10
_TOPICS += ["WORKER-OUT", "Worker-In", "größe", "GRÖSSE", "grÖße", "\u212anight", "knight"]
_OTHER_TOPICS = [TRACKING_TOPIC, TRACKING_TOPIC.upper(), OTHER_TRACKING_TOPIC, UNKNOWN_TOPIC, "unknown-2", ""]
_STATUSES = ["RESULT_SUCCESS"] * 40
_STATUSES += ["NEW_TASK", "RESULT_FAILURE", "RESULT_EXCEPTION", "INVALID_TASK", "OTHER"]
_URL = "http://jobs:8080/v1/partitions/acme/jobs/job"
_MARKERS = ["", "0", "01", "A", "1\n", "1 ", "z" * 12, "z" * 13, "1" * 14, "é", "1/status?run=2", "1/"]
_URLS = [None, "", _URL, "/status?run=1", "status?run=1"]
_URLS += [marked_status_url(_URL, key) for key in (1, 2, 2, 2, 2, 35, 36, 2**63 - 1)]
_URLS += [f"{_URL}/status?run={marker}" for marker in _MARKERS]
_SOURCES = [["name", "version"], ["name", "version"], ["name"], ["other"], []]
_TIMES = [1_700_000_000_000] * 6 + ["2026-01-01T00:00:00Z"] * 3 + [1.5, None]
_SEPARATORS = [(", ", ": "), (" ,\t", "\n:\r "), (",\n", " :")]
# fmt: on


def written_document(random: Random) -> bytes:
    """Return a task message or an event, as JSON."""
    document = _document(random)
    if random.random() < 0.06:
        document |= _event(random)
    if random.random() < 0.2:
        _change_fields(random, document)
    if random.random() < 0.3:
        document = dict(random.sample(sorted(document.items()), len(document)))
    return _written(random, document)


def nested(random: Random) -> bytes:
    """Return a value that has as many levels as may just be accepted, or more, or fewer."""
    levels = random.choice([2, 2, 10, 20, 63, 64, 65, 66, 197, 198, 199, 200, 201, 1100])
    opening, closing = random.choice([(b"[", b"]"), (b'{"":', b"}"), (b'[{"a":', b"}]")])
    levels //= len(closing)
    return opening * levels + random.choice([b"null", b'""', b"1"]) + closing * levels


def _document(random: Random) -> Document:
    to, track_to = _topic(random), _topic(random)
    if random.random() < 0.6:
        track_to = to
    return {
        "version": random.choice([3, 3, 3, 2, 1, 0, None]),
        "taskId": random.choice(["00000000-0000-4000-8000-000000000001", "", "é"]),
        "taskClassifier": random.choice(["DocumentWorker", None, "TrackingReportTask", "JobTrackingWorker"]),
        "taskApiVersion": random.choice([1, 1, 1, 1, 1, None, 2]),
        "taskData": random.choice([None, "", "e30=", _in_base64(random.randbytes(60)), "bad", "é"]),
        "taskStatus": random.choice([*_STATUSES, None]),
        "context": random.choice([{}, {}, None, {"a": _value(random)}]),
        "to": to,
        "tracking": _tracking(random, track_to) if random.random() < 0.95 else None,
        "sourceInfo": dict.fromkeys(random.choice(_SOURCES), random.choice(["7.1.0", "7.1.0", None])),
        "priority": random.choice([None, 0, 5]),
        "correlationId": random.choice([None, "c-1"]),
    }


def _topic(random: Random) -> str | None:
    chance = random.random()
    if chance < 0.95:
        return random.choice(_TOPICS)
    return random.choice(_OTHER_TOPICS) if chance < 0.98 else None


def _tracking(random: Random, track_to: str | None) -> Document:
    return {
        "jobTaskId": _job_task_id(random) if random.random() < 0.97 else None,
        "lastStatusCheckTime": random.choice(_TIMES),
        "statusCheckIntervalMillis": random.choice([5000, None]),
        "statusCheckUrl": random.choice(_URLS),
        "trackingPipe": random.choice(["tracking", None, "größe"]),
        "trackTo": track_to,
    }


def _job_task_id(random: Random) -> str:
    name = random.choice(_JOBS if random.random() < 0.95 else _BAD_JOBS)
    levels = random.choice([0] + [1] * 12 + [2, 2, 3] if random.random() < 0.98 else [90, 99, 100, 101])
    indexes = [random.choice(_INDEXES) + random.choice(["", "", "", "*"]) for _ in range(levels)]
    if indexes and random.random() < 0.05:
        indexes[random.choice([0, -1])] = random.choice(_BAD_INDEXES)
    return ".".join([name, *indexes])


def _event(random: Random) -> Document:
    statuses = ["Complete", "Complete", "Complete", "Failed", "Retry"]
    reports = [
        {"jobTaskId": _job_task_id(random), "status": random.choice(statuses)}
        for _ in range(random.choice([1, 2, 5]))
    ]
    data = _in_base64(json.dumps({"trackingReports": reports}).encode())
    return {"to": TRACKING_TOPIC, "taskClassifier": "TrackingReportTask", "taskData": data}


def _in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _change_fields(random: Random, document: Document) -> None:
    """Give a field or two a value of any type, or remove it, or add one that is not known."""
    for _ in range(random.choice([1, 1, 2])):
        objects = [document, document, *(each for each in document.values() if isinstance(each, dict))]
        changed = random.choice(objects)
        name = random.choice([*changed, "other"] if random.random() < 0.8 else [*FIELDS, ""])
        if random.random() < 0.15:
            changed.pop(name, None)
        else:
            changed[name] = _value(random)


def _value(random: Random, depth: int = 0) -> Any:
    """Return a value of any type. A text that begins with NUL stands for what is written without quotes."""
    chance = random.random()
    if chance < 0.6 or depth > 2:
        return copy(random.choice(random.choice(_SIMPLE)))
    if chance < 0.7:
        return "\0" + random.choice(TOKENS)
    if chance < 0.75:
        return "\0" + nested(random).decode()
    values = [_value(random, depth + 1) for _ in range(random.choice([0, 1, 2]))]
    names = random.sample(FIELDS + TEXTS, len(values))
    return values if random.random() < 0.5 else dict(zip(names, values, strict=True))


_WITHOUT_QUOTES = re.compile(r'"\\u0000((?:[^"\\]|\\.)*)"')


def _written(random: Random, document: Document) -> bytes:
    separators = (",", ":") if random.random() < 0.7 else random.choice(_SEPARATORS)
    text = json.dumps(document, separators=separators, ensure_ascii=random.random() < 0.3)
    text = _WITHOUT_QUOTES.sub(lambda found: found[1].replace('\\"', '"'), text)
    if random.random() < 0.1:
        before, after = ["", " ", "\n\t", "\ufeff"], ["", " ", "\r\n", "\0", "{}", ","]
        text = random.choice(before) + text + random.choice(after)
    return text.encode()
