"""`complete`: each message completes a task of one of 200 jobs, and loses its `tracking`."""

from functools import partial

from bench.scenarios.throughput import Throughput, Variant
from bench.workload import TasksInTurn

COMPLETE = Variant("tracker", partial(TasksInTurn, jobs=200), goal=0.75, goal_cpu=1.55)

SCENARIO = Throughput("complete", "each message completes one task of 200 jobs", [COMPLETE])
