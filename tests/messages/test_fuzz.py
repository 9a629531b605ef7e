"""Records made up by chance: each is judged as the model judges it, and its neighbours as ever."""

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.decoding import MODEL_RULES, decode, reasons
from tests.support.messages import (
    failure,
    progress_event,
    record_of,
    report,
    task_message,
    tracking_report,
)
from tests.support.model.poison import POISON, SOUND, Poison
from tests.support.model.reading import Bad, read
from tests.support.profile import THOROUGH
from tests.support.records import Record

TASK = "acme:job.1"
SMALL = [each for each in [*POISON, *SOUND] if len(each.value or b"") < 3_000]

GIANT = "a whole number of 5,000 digits"  # which Python writes only so

_texts = st.text(max_size=12) | st.sampled_from(
    [
        "",
        "\0",
        "acme:job",
        "acme:job.1*",
        "job.0",
        "worker-in",
        "TRACKING",
        "__x",
        "..",
        "e30=",
        "Failed",
        "\u0661",
    ]
)
_numbers = (
    st.integers(-3, 103)
    | st.sampled_from([2**31, 2**63 - 1, -(2**63), GIANT, 99.95, -0.0, 1e-320, 100.000001])
    | st.floats(allow_nan=False, allow_infinity=False)
)
_json = st.recursive(
    st.none() | st.booleans() | _numbers | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)
_headers = st.lists(
    st.tuples(
        st.sampled_from(["x-caf-worker-rejected", "x-caf-worker-retry", ""]) | st.text(max_size=8),
        st.none() | st.binary(max_size=12) | st.sampled_from([b"3", b"-1", b"\xff\xfe", b"1" * 5_000, b"\0"]),
    ),
    max_size=4,
)  # fmt: skip


def sound_documents() -> list[dict[str, Any]]:
    made = [
        task_message(TASK),
        task_message(TASK, to="worker-in", status="RESULT_EXCEPTION"),
        task_message(TASK, to="worker-in", status=None),
        tracking_report(report(TASK, "Failed", failure=failure()), report(f"{TASK}.2", "Progress", 7)),
        progress_event(TASK, 12.5),
    ]
    return [json.loads(value) for value in made]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to everything in a document, the inner one of an event among it."""
    found = [path]
    children: Any = ()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)
    for key, child in children:
        found += places(child, (*path, key))
    return found


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = changed(copy[path[0]], path[1:], new)
    return copy


@st.composite
def one_thing_wrong(draw: st.DrawFn) -> Record:
    """A sound message with anything at all in one place."""
    document = draw(st.sampled_from(sound_documents()))
    is_event = document["to"] == "tracking"
    if is_event and draw(st.booleans()):
        inner = json.loads(base64.b64decode(document["taskData"]))
        inner = changed(inner, draw(st.sampled_from(places(inner))), draw(_json))
        document["taskData"] = base64.b64encode(text_of(inner)).decode()
    else:
        document = changed(document, draw(st.sampled_from(places(document))), draw(_json))
    return record_of(text_of(document), key=draw(st.none() | st.binary(max_size=9)), headers=draw(_headers))


def text_of(document: Any) -> bytes:
    """Write JSON, with whole numbers of thousands of digits, which Python does not write by itself."""
    marked = json.dumps(document, separators=(",", ":"))
    return marked.replace(f'"{GIANT}"', "1" + "0" * 4_999).encode()


@st.composite
def torn(draw: st.DrawFn) -> Record:
    """A bad or sound message with bytes cut, repeated or exchanged, or bytes that are no message at all."""
    start: Poison = draw(st.sampled_from(SMALL))
    value = start.value or draw(st.binary(max_size=30))
    for _ in range(draw(st.integers(1, 4))):
        first, end = sorted(draw(st.tuples(*[st.integers(0, len(value))] * 2)))
        end = min(end, first + draw(st.sampled_from([0, 1, 2, 40])))
        value = value[:first] + draw(st.binary(max_size=3)) + value[end:]
    return record_of(value, headers=draw(_headers))


def reason_of(record: Record) -> str | None:
    try:
        read(record, MODEL_RULES)
    except Bad as bad:
        return bad.reason
    return None


def neighbours() -> tuple[Record, Record]:
    return record_of(task_message("acme:other.1")), record_of(task_message("acme:other.2*"))


def check(record: Record, *, same_reason: bool) -> None:
    before, after = neighbours()
    batch = decode([before, record, after])
    expected = reason_of(record)
    found = reasons(batch)
    assert found.keys() <= {1}
    assert (1 in found) == (expected is not None), (found, expected, record.value)
    if same_reason:
        assert found.get(1) == expected, record.value
    assert batch.destinations[0] == batch.destinations[2] == "worker-out"
    alone = decode([before, after])
    assert [batch.values[0], batch.values[2]] == alone.values
    if expected is not None:
        assert batch.destinations[1] is None
        assert batch.jobs.keys() == alone.jobs.keys()


@given(one_thing_wrong())
@THOROUGH
def test_one_thing_wrong_is_refused_for_the_models_reason(record: Record) -> None:
    check(record, same_reason=True)


@given(torn())
@THOROUGH
def test_torn_messages_are_refused_if_the_model_refuses_them(record: Record) -> None:
    check(record, same_reason=False)
