"""`proxied`: messages on tasks in progress. The tracker looks each up and forwards it unchanged."""

from functools import partial

from bench.scenarios.throughput import Throughput, Variant
from bench.workload import TasksInTurn

SCENARIO = Throughput(
    "proxied",
    "tasks in progress: look up and forward",
    [Variant("tracker", partial(TasksInTurn, jobs=200, in_progress=True), goal=0.8, goal_cpu=1.45)],
)
