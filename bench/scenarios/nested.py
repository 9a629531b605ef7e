"""`nested`: one job of three levels (100 x 100 x 100 of a million messages), all whose leaves complete.

Depth first, as workers that split tasks do it; and shuffled, where a batch touches most of the tasks above.
"""

from functools import partial

from bench.scenarios.throughput import Throughput, Variant
from bench.workload import Tree

SCENARIO = Throughput(
    "nested",
    "one job of three levels, all whose leaves complete",
    [Variant("depth first", Tree, goal=0.5), Variant("shuffled", partial(Tree, shuffled=True))],
)
