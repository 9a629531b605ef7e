"""`tracker demo`: real jobs through a real Kafka and PostgreSQL."""

import os
from typing import Annotated

import typer


def demo(
    pages: Annotated[
        int,
        typer.Option(
            min=100,
            max=10_000_000,
            help="About how many pages, besides the 10,000 of a document that is cancelled.",
        ),
    ] = 60_000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes of the tracker.")] = 2,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the servers up afterwards, to look around.")
    ] = False,
) -> int:
    """Watch jobs go through a real Kafka and PostgreSQL.

    The demo starts both servers. Documents are split into pages by the example workers: a chain of jobs, a
    diamond, one that starts later, one that is cancelled, one that fails. Servers that
    TRACKER_KAFKA_BOOTSTRAP_SERVERS and TRACKER_DATABASE_URL name are used instead, with topics and a database
    that are removed afterwards. The exit status is 1 if anything went wrong.
    """
    from tracker.demo.demo import DemoOptions, run_demo
    from tracker.demo.screen import open_screen

    return run_demo(os.environ, DemoOptions(pages, workers, keep), open_screen())
