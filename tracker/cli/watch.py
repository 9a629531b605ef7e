"""`tracker job watch`: bars on a terminal, and otherwise a line for each change."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.database import JobNames, Timeout, open_client
from tracker.cli.output import Json, print_json
from tracker.cli.watched_text import line_of

if TYPE_CHECKING:
    from rich.console import Console

    from tracker import Client, JobStatus


def watch(
    jobs: JobNames,
    prerequisites: Annotated[
        bool, typer.Option("--prerequisites", help="Also watch what the jobs wait for, directly or not.")
    ] = False,
    timeout: Timeout = None,
    json: Json = False,
) -> int:
    """Watch jobs until they have ended. Bars on a terminal, otherwise a line a change; exits as wait does."""
    from tracker import JobStatus
    from tracker.jobs.query import read_names

    console = None if json else _terminal()
    with open_client() as client:
        if console is None:
            found = _print_changes(client, jobs, prerequisites, timeout, json=json)
        else:
            found = _draw(client, jobs, prerequisites, timeout, console)
    return 0 if all(found[str(name)] is JobStatus.COMPLETED for name in read_names(jobs)) else 1


def _terminal() -> "Console | None":
    """Return the terminal that stdout is, if bars can move on it."""
    if not sys.stdout.isatty():
        return None
    from rich.console import Console

    console = Console()
    return None if console.is_dumb_terminal else console


def _print_changes(
    client: "Client", jobs: list[str], prerequisites: bool, timeout: float | None, *, json: bool
) -> "dict[str, JobStatus | None]":
    """Print each change at once, also into a pipe; return the last status of each job."""
    found = {}
    for job in client.watch(jobs, prerequisites=prerequisites, timeout=timeout):
        found[str(job)] = job.status
        if json:
            print_json([job])
        else:
            print(line_of(job))
        sys.stdout.flush()
    return found


def _draw(
    client: "Client", jobs: list[str], prerequisites: bool, timeout: float | None, console: "Console"
) -> "dict[str, JobStatus | None]":
    """Draw all jobs once a second; return the last status of each."""
    from tracker.cli.watch_bars import Bars
    from tracker.jobs.watch import follow_jobs

    found = {}
    looks = follow_jobs(jobs, lambda tracks: [tracks], prerequisites=prerequisites, timeout=timeout)
    with Bars(console) as bars:
        for tracks in client.follow(looks):
            bars.show(tracks)
            found = {str(track.name): track.status for track in tracks}
    return found
