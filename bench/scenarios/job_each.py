"""`job-each`: every message belongs to another job, so there is nothing to fold.

A job becomes Active with its first message, and completes with its only one.
"""

from bench.scenarios.throughput import Throughput, Variant
from bench.workload import FirstTasks, only_tasks

SCENARIO = Throughput(
    "job-each",
    "every message another job",
    [
        Variant("only task", only_tasks, goal_rate=25_000),
        Variant("first task", FirstTasks, goal_rate=25_000),
    ],
    share=0.1,
    quick=False,
)
