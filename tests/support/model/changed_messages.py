"""Builders of messages that are sound but for one thing."""

import json
from typing import Any

from tests.support.messages import dump, task_message

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
