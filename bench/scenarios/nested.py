"""`nested`: one job of three levels (100 x 100 x 100 for a million messages), of which all leaves complete.

They complete depth first, as with workers that split tasks, and shuffled, so that a batch touches most of the
tasks above.
"""

from functools import partial

from bench.scenarios.throughput import Throughput, Variant
from bench.workload import Tree

SCENARIO = Throughput(
    "nested",
    "one job of three levels, of which all leaves complete",
    [Variant("depth first", Tree, goal=0.5), Variant("shuffled", partial(Tree, shuffled=True), goal=0.5)],
    one_partition=True,
)
