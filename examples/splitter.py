"""A worker that splits documents into pages: one task becomes many.

    python examples/splitter.py --bootstrap-servers localhost:9092 --input documents --pages pages

Its tasks are the jobs themselves, as they were submitted. The task data of a task:

    {"document": "report", "pages": 3000}
    {"document": "report", "pages": 3000, "damaged": [617], "scanned": true}

Exactly once; see `task_worker.py`.
"""

import argparse
import json
import sys
from collections.abc import Iterator

from task_worker import TaskMessage, arguments, read_data, result, run, subtask, track_to

NAME = "splitter"
TEXT = "Page {} of {} says what page {} of any document says."


def split(task: TaskMessage, pages_topic: str, scans_topic: str) -> Iterator[TaskMessage]:
    """Yield a task for each page of the document.

    The last page goes first. The tracker learns how many pages there are when the last one, with its star, is
    complete. Until then it estimates the percentage, and estimates it too high. Any other order works too.

    All pages are one transaction, which is fine for up to about 100,000. Split a larger document into parts
    first, each a subtask that is split into pages in turn: `job.1`, `job.2` ... then `job.1.1`, `job.1.2` ...
    """
    document = read_data(task)
    name, count = document["document"], document["pages"]
    damaged = set(document.get("damaged", ()))
    # Scanned pages take long. With their own topic and workers, no other page waits for them.
    to = scans_topic if document.get("scanned") else pages_topic
    for number in [count, *range(1, count)] if count else []:
        # A real splitter reads the document from its storage; this one knows what is in it.
        text = None if number in damaged else TEXT.format(number, name, number)
        page = {"document": name, "page": number, "text": text}
        yield subtask(task, number, count, "PageWorker", json.dumps(page).encode(), NAME, to)
    if count == 0:
        # Without subtasks, there is nothing else to do: the job itself is complete.
        yield result(task, "RESULT_SUCCESS", b"{}", NAME, track_to(task))


def main() -> int:
    """Run the worker; return its exit status."""
    parser = arguments("Splits documents into pages.", NAME)
    parser.add_argument("--pages", required=True, metavar="TOPIC", help="where page workers read")
    parser.add_argument(
        "--scans", metavar="TOPIC", help="where page workers for scans read (default: --pages)"
    )
    options: argparse.Namespace = parser.parse_args()
    pages, scans = options.pages, options.scans or options.pages
    return run(options, lambda task: split(task, pages, scans))


if __name__ == "__main__":
    sys.exit(main())
