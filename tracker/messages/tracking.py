"""Where tracking ends: `tracking` becomes null, and every other byte stays as it was."""

import re
from collections.abc import Iterator

import msgspec

from tracker.messages.task_message import OpaqueObject

_KEY = b'"tracking"'
_COLON = 0x3A
_ESCAPED_LETTER_OR_QUOTE = re.compile(rb'\\u00[67]|\\"tracking"')
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:,]', re.DOTALL)
_read_object = msgspec.json.Decoder(OpaqueObject).decode


def without_tracking(value: bytes) -> bytes:
    """Return the task message with ``null`` for its `tracking`, the rest byte for byte.

    `value` is known to be a JSON object in which `tracking` is an object.
    """
    found = _only_tracking(value)
    if found is not None:
        start, end = found
        return value[:start] + b"null" + value[end:]
    kept = []
    kept_up_to = 0
    for name, start, end in _top_level_members(value):
        if name == _KEY or (b"\\" in name and msgspec.json.decode(name) == "tracking"):
            kept += [value[kept_up_to:start], b"null"]
            kept_up_to = end
    return b"".join(kept) + value[kept_up_to:]


def _only_tracking(value: bytes) -> tuple[int, int] | None:
    """Return where the object behind the only key ``"tracking"`` starts and ends; None: it is not so simple.

    0.6 µs, against 15 for a walk through the top level. ``"tracking"`` is a whole string, unless its first
    quote is escaped; and no other key means the same, unless it has an escaped letter. What ends at the
    first brace is the whole object if it is an object at all, since none is the beginning of another.
    """
    if b"\\" in value and _ESCAPED_LETTER_OR_QUOTE.search(value):
        return None
    found = -1
    at = value.find(_KEY)
    while at >= 0:
        behind = at + len(_KEY)
        if value[behind] == _COLON:
            if found >= 0:
                return None
            found = behind + 1
        elif value[behind] not in b",}]":
            return None
        at = value.find(_KEY, behind)
    if found < 0:
        return None
    while value[found] in b" \t\r\n":
        found += 1
    end = value.find(b"}", found) + 1
    try:
        _read_object(value[found:end])
    except msgspec.MsgspecError:
        return None
    return found, end


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
