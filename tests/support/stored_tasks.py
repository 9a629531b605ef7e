"""Reads rows of `sibling_tasks` and `task_block` without the code that writes them."""

from collections.abc import Iterable
from typing import Any

import msgspec


def bits_of(block: bytes) -> int:
    """Return the bits of a block."""
    return int.from_bytes(block, "little")


def children_in(block: int, bits: bytes) -> list[int]:
    """Return the children whose bits are set in a block."""
    before, number = 4096 * max(block - 1, 0), bits_of(bits)
    return [before + at + 1 for at in range(number.bit_length()) if number >> at & 1]


def stored_tasks(rows: Iterable[tuple[str, bytes]]) -> dict[str, list[Any]]:
    """Return the values of all tasks of one job by their paths; `rows` are (path, tasks)."""
    return {
        ".".join(filter(None, [parent, str(child) if child else ""])): values
        for parent, tasks in rows
        for child, values in msgspec.msgpack.decode(tasks).items()
    }
