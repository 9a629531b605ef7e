"""`events`: events of 100 reports each, on the tasks of 200 jobs.

The ceiling forwards them; the tracker has nothing to forward.
"""

from functools import partial

from bench.scenarios.throughput import Throughput, Variant
from bench.workload import Events

SCENARIO = Throughput(
    "events",
    "events of 100 reports each, which complete the tasks of 200 jobs",
    [Variant("tracker", partial(Events, jobs=200), goal_rate=500_000)],
    share=5.0,
)
