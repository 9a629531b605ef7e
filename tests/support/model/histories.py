"""Strategies of Hypothesis: jobs with their scripts, which it can replay and shrink."""

from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from tests.support.model.scripts import PLANS, Script, cut, group, make_script, record_for
from tests.support.model.task_trees import Tree, make_tree
from tests.support.records import Record


class History(NamedTuple):
    """A job's tree and its script."""

    tree: Tree
    script: Script


@st.composite
def histories(draw: st.DrawFn, plans: Sequence[str] = PLANS, *, events_only: bool | None = None) -> History:
    """Draw a job `acme:job` and its script. By default, a job that fails has only events."""
    random = draw(st.randoms(use_true_random=False))
    plan = draw(st.sampled_from(plans))
    only = plan in {"fails", "repaired"} if events_only is None else events_only
    size = draw(st.integers(1, 12))
    tree = make_tree(random, size, depth=draw(st.integers(0, 5)), sparse=draw(st.booleans()))
    return History(tree, make_script(random, "acme:job", tree, plan, events_only=only))


@st.composite
def permutations(draw: st.DrawFn, script: Script) -> list[list[Record]]:
    """Draw a permutation of a whole script, with repetitions, as batches of records with some key."""
    random = draw(st.randoms(use_true_random=False))
    steps = [*script.body, *script.tail]
    steps += draw(st.lists(st.sampled_from(steps), max_size=5)) if steps else []
    steps = draw(st.permutations(steps))
    keys = draw(st.sampled_from([None, b"other"]))
    return cut(random, [record_for(random, *each, key=keys) for each in group(random, steps)], largest=6)
