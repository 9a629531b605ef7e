"""`job-each`: every message belongs to another job, so there is nothing to fold.

A job becomes Active with its first message, and completes with its only one.
"""

from bench.scenarios.throughput import Throughput, Variant
from bench.workload import FirstTasks, Size, TasksInTurn, Topics, Workload


def _only(topics: Topics, size: Size) -> Workload:
    return TasksInTurn(topics, size, jobs=size.messages)


SCENARIO = Throughput(
    "job-each",
    "every message another job",
    [
        Variant("only task", _only, goal_rate=25_000),
        Variant("first task", FirstTasks, goal_rate=25_000),
    ],
    share=0.1,
    quick=False,
)
