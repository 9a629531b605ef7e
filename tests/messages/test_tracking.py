"""Cutting `tracking` out, against a slow way: parse, keep track of every byte, put together again."""

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.messages import task_message
from tests.support.model.reading import with_null_tracking
from tests.support.profile import THOROUGH
from tracker.messages.tracking import without_tracking

TRACKING = '{"jobTaskId":"acme:job.1","trackTo":"worker-out"}'

blanks = st.sampled_from(["", "", "", " ", "\n\t", "\r\n  "])
TRICKY_KEYS = r"""
    tracking tracking tracking track\u0069ng \u0074racking trackingPipe Tracking to
    \"tracking tracking\" \\ é \u00e9 a\/b { } : ,
"""
TRICKY_VALUES = r"""
    null true -1.5e3 "" "tracking" "track\u0069ng" "\"tracking\":{" "\\" "}\\\"" "[{" "tracking:"
    "x\"tracking" "\u2028" "é" "😀" "\ud83d\ude00" ":"
"""
keys = st.sampled_from(TRICKY_KEYS.split())
scalars = st.sampled_from(TRICKY_VALUES.split())


@st.composite
def objects(draw: st.DrawFn, values: st.SearchStrategy[str], tracked: bool = False) -> str:
    """Draw an object's text, with repeated and escaped keys, and blanks anywhere."""
    members = draw(st.lists(st.tuples(keys, values), max_size=5))
    if tracked:
        spelling = draw(st.sampled_from(["tracking", "tracking", r"track\u0069ng"]))
        members.insert(draw(st.integers(0, len(members))), (spelling, draw(objects(values))))
    texts = [
        f'{draw(blanks)}"{key}"{draw(blanks)}:{draw(blanks)}{value}{draw(blanks)}' for key, value in members
    ]
    return "{" + ",".join(texts) + ("" if texts else draw(blanks)) + "}"


@st.composite
def lists(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    """Draw a list's text."""
    return f"[{draw(blanks)}{','.join(draw(st.lists(values, max_size=3)))}{draw(blanks)}]"


values = st.recursive(scalars | st.just(TRACKING), lambda inner: objects(inner) | lists(inner), max_leaves=12)
tracked_messages = st.tuples(blanks, objects(values, tracked=True), blanks).map("".join)


@given(tracked_messages)
@example('{"context":{"tracking":%s},"track\\u0069ng":%s}' % (TRACKING, TRACKING))  # noqa: UP031 -- braces
@example('{"context":{"tracking":%s},"tracking" :%s}' % (TRACKING, TRACKING))  # noqa: UP031
@example('{"x\\"tracking":%s,"tracking":%s}' % (TRACKING, TRACKING))  # noqa: UP031
@example('{"tracking":{"a":{"b":"}"},"c":1},"to":"x"}')
@example('{"tracking" :%s}' % TRACKING)  # noqa: UP031
@example('{"tracking": %s}' % TRACKING)  # noqa: UP031
@example('{"track\\u0069ng":%s,"context":{"tracking":%s}}' % (TRACKING, TRACKING))  # noqa: UP031
@example('{"tracking": {"a":"}"}  ,"to":"tracking"}')
@example('{"context":{"tracking":%s},"tr\\u0061cking":{}}' % TRACKING)  # noqa: UP031
@example('{"tracking":%s,"tracking":%s}' % (TRACKING, TRACKING))  # noqa: UP031
@THOROUGH
def test_only_the_top_levels_tracking_becomes_null(document: str) -> None:
    value = document.encode()
    assert without_tracking(value) == with_null_tracking(value)


PLAIN_KEYS = st.sampled_from(["tracking", "trackTo", "to", "", "{", ","])
PLAIN_VALUES = st.sampled_from(
    [
        "null",
        "5",
        '""',
        '"x"',
        '"}"',
        '"x}"',
        '":}"',
        '":"',
        '",{"',
        '"tracking"',
        "{}",
        '{"to":"x"}',
        '{"tracking":{}}',
        "[]",
    ]
)


@given(
    st.lists(st.tuples(PLAIN_KEYS, PLAIN_VALUES), max_size=3),
    st.lists(st.tuples(PLAIN_KEYS, PLAIN_VALUES), max_size=3),
    st.lists(st.tuples(PLAIN_KEYS, PLAIN_VALUES), max_size=2),
)
@THOROUGH
def test_no_text_without_backslashes_misleads(
    before: list[tuple[str, str]], inside: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    def members(pairs: list[tuple[str, str]]) -> list[str]:
        return [f'"{key}":{value}' for key, value in pairs]

    tracked = f'"tracking":{{{",".join(members(inside))}}}'
    value = f"{{{','.join([*members(before), tracked, *members(after)])}}}".encode()
    assert without_tracking(value) == with_null_tracking(value)


@given(
    st.sampled_from(["tracking", "worker-out", "tracking\\"]),
    objects(values),
    st.sampled_from([None, 1, "\t"]),
)
@settings(THOROUGH, max_examples=50)
def test_task_messages_keep_all_other_bytes(pipe: str, context: str, indent: Any) -> None:
    message = json.loads(task_message("acme:job.1"))
    message["tracking"]["trackingPipe"] = pipe
    message["context"] = json.loads(context)
    for sent in (message, dict(reversed(message.items()))):
        value = json.dumps(sent, indent=indent).encode()
        cut = without_tracking(value)
        assert json.loads(cut) == {**sent, "tracking": None}
        assert cut == with_null_tracking(value)
