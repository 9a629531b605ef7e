"""The worker of README's examples: it takes tasks that name a path."""

import sys
from collections.abc import Iterator

from task_worker import TaskMessage, arguments, read_data, result, run, track_to

NAME = "document-worker"


def handle(task: TaskMessage) -> Iterator[TaskMessage]:
    """Yield the result of a task."""
    path = read_data(task)["path"]
    yield result(task, "RESULT_SUCCESS", path.encode(), NAME, track_to(task))


if __name__ == "__main__":
    sys.exit(run(arguments(__doc__, NAME).parse_args(), handle))
