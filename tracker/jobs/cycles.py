"""Finds cycles of prerequisites."""

from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def find_cycle(prerequisites: Mapping[Node, Iterable[Node]]) -> list[Node] | None:
    """Return a cycle, which ends with its first node, or None if there is none.

    The search is depth first, with a stack of its own: a chain of 100,000 jobs is deeper than Python's stack.
    """
    done: set[Node] = set()
    for start in prerequisites:
        if start in done:
            continue
        path = {start: None}  # in order, and asked for membership
        stack = [iter(prerequisites[start])]
        while stack:
            node = next((node for node in stack[-1] if node not in done), None)
            if node is None:
                stack.pop()
                done.add(path.popitem()[0])
            elif node in path:
                nodes = list(path)
                return [*nodes[nodes.index(node) :], node]
            else:
                path[node] = None
                stack.append(iter(prerequisites.get(node, ())))
    return None
