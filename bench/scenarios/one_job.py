"""`one-job`: all messages complete tasks of one job, so that one worker handles its one Kafka partition."""

from functools import partial

from bench.scenarios.throughput import Throughput, Variant
from bench.workload import TasksInTurn

SCENARIO = Throughput(
    "one-job",
    "one job, of which all tasks complete",
    [
        Variant("in order", partial(TasksInTurn, jobs=1), goal=0.7),
        Variant("shuffled", partial(TasksInTurn, jobs=1, shuffled=True), goal=0.7),
    ],
    one_partition=True,
)
