"""The search for cycles, by itself."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tracker.jobs.cycles import find_cycle

GRAPHS = st.dictionaries(st.integers(0, 7), st.lists(st.integers(0, 7), max_size=4), max_size=8)


@given(GRAPHS)
def test_a_cycle_is_found_if_there_is_one(graph: dict[int, list[int]]) -> None:
    left = {node: set(targets) for node, targets in graph.items()}
    while free := [node for node, targets in left.items() if not targets & left.keys()]:
        for node in free:
            del left[node]
    assert (find_cycle(graph) is None) == (not left)


@given(GRAPHS)
def test_what_is_found_is_a_cycle(graph: dict[int, list[int]]) -> None:
    cycle = find_cycle(graph)
    if cycle is not None:
        assert cycle[0] == cycle[-1]
        assert len(set(cycle)) == len(cycle) - 1
        assert all(target in graph[node] for node, target in pairwise(cycle))
