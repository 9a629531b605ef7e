"""Where tracking ends: `tracking` becomes null, and every other byte stays as it was."""

import re
from collections.abc import Iterator

import msgspec

from tracker.messages.task_message import TaskMessage

_KEY = b'"tracking"'
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:,]', re.DOTALL)


def without_tracking(value: bytes, message: TaskMessage) -> bytes:
    """Return the message with ``null`` for its `tracking`, the rest byte for byte.

    `message` is `value` decoded.

    Within a string its quotes would be escaped, so ``"tracking"`` is a whole string: a value, if a colon
    stands before it (the topic's name, say), else a key. If there is only one such key, and none is written
    with escapes, it is the right one: 0.5 µs. Otherwise (a `tracking` in the context, say) the top level is
    walked through, which takes a hundred times as long.
    """
    key = value.find(b'"tracking":')
    if key >= 0 and value.count(_KEY) - value.count(b':"tracking"') == 1 and b"\\u" not in value:
        start = key + 11
        old = bytes(message.tracking)
        if value.startswith(old, start):
            return value[:start] + b"null" + value[start + len(old) :]
    kept = []
    kept_up_to = 0
    for name, start, end in _top_level_members(value):
        if name == _KEY or (b"\\" in name and msgspec.json.decode(name) == "tracking"):
            kept += [value[kept_up_to:start], b"null"]
            kept_up_to = end
    return b"".join(kept) + value[kept_up_to:]


def _top_level_members(value: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield each member of the object: its name as it is written, and where its value starts and ends."""
    depth = 0
    name = b""
    start: int | None = None
    for token in _STRUCTURE.finditer(value):
        text = token[0]
        if depth == 1 and text in b",}" and start is not None:
            written = value[start : token.start()]
            blank_before = len(written) - len(written.lstrip())
            yield name, start + blank_before, start + len(written.rstrip())
            start = None
        if text in b"{[":
            depth += 1
        elif text in b"}]":
            depth -= 1
        elif depth == 1 and start is None:
            if text == b":":
                start = token.end()
            elif text != b",":
                name = text
