"""`job-each`: every message is of another job, so that there is nothing to fold. With the first message of
each job it becomes Active; with its only one it completes."""

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
