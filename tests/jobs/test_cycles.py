"""The search for circles, by itself."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tracker.jobs.cycles import find_circle

GRAPHS = st.dictionaries(st.integers(0, 7), st.lists(st.integers(0, 7), max_size=4), max_size=8)


@given(GRAPHS)
def test_a_circle_is_found_if_there_is_one(graph: dict[int, list[int]]) -> None:
    left = {node: set(targets) for node, targets in graph.items()}
    while free := [node for node, targets in left.items() if not targets & left.keys()]:
        for node in free:
            del left[node]
    assert (find_circle(graph) is None) == (not left)


@given(GRAPHS)
def test_what_is_found_is_a_circle(graph: dict[int, list[int]]) -> None:
    circle = find_circle(graph)
    if circle is not None:
        assert circle[0] == circle[-1]
        assert len(set(circle)) == len(circle) - 1
        assert all(target in graph[node] for node, target in pairwise(circle))
