"""A worker that handles pages: it counts the words of each.

    python examples/page_worker.py --bootstrap-servers localhost:9092 --input pages

Its tasks come from the splitter, through the tracker. The task data of a task, and of its result:

    {"document": "report", "page": 12, "text": "..."}
    {"document": "report", "page": 12, "words": 340}

A result is sent to where tracking ends, so that the page counts as complete. To do something else with it
first, send it to the topic of the next worker instead; the last worker sends it to where tracking ends.

Exactly once; see `task_worker.py`.
"""

import json
import sys
import time
from collections.abc import Iterator

from task_worker import TaskMessage, arguments, read_data, result, run, track_to

NAME = "page-worker"


class PageDamaged(Exception):
    """The page cannot be read."""


def handle(task: TaskMessage, ms_per_page: float = 0) -> Iterator[TaskMessage]:
    """Yield the result of one page. An exception becomes the failure in the result (see `answer`)."""
    page = read_data(task)
    if page["text"] is None:
        raise PageDamaged(f"Page {page['page']} is damaged.")
    if ms_per_page:
        time.sleep(ms_per_page / 1000)  # to read a picture takes longer than to count words
    counted = {"document": page["document"], "page": page["page"], "words": len(page["text"].split())}
    yield result(task, "RESULT_SUCCESS", json.dumps(counted).encode(), NAME, track_to(task))


def main() -> int:
    """Run the worker; return its exit status."""
    parser = arguments("Counts the words of pages.", NAME)
    parser.add_argument("--ms-per-page", type=float, default=0, help="how long a page takes at least")
    options = parser.parse_args()
    return run(options, lambda task: handle(task, options.ms_per_page))


if __name__ == "__main__":
    sys.exit(main())
