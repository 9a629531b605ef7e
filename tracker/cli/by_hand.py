"""`tracker job release` and `prerequisites`: what a job waits for, changed by hand."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.database import JobName, open_client
from tracker.cli.output import Json, counted, print_json
from tracker.errors import TrackerError

if TYPE_CHECKING:
    from tracker import ChangedPrerequisites


def release(job: JobName, json: Json = False) -> None:
    """Send a job although prerequisites are unmet. A paused, suspended or delayed one stays so."""
    with open_client() as client:
        released = client.release(job)
    if json:
        print_json([released])
    elif released.removed:
        print(f"{released}: released; it no longer waits for {_some(released.removed)}")
    else:
        print(f"{released}: waits for no other job")


def prerequisites(
    job: JobName,
    add: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="A job ID to wait for, or ID,pc; repeatable.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="A job ID to wait for no longer; repeatable.")
    ] = None,
    json: Json = False,
) -> None:
    """Change what a job waits for that has not been sent. It is sent if it waits for nothing else."""
    from tracker.jobs.by_hand import change_prerequisites

    try:
        verb = change_prerequisites(job, add=add or (), remove=remove or ())
    except TrackerError as error:
        raise typer.BadParameter(str(error)) from None
    with open_client() as client:
        changed = client.run(verb)
    for text in changed.warnings:
        print(f"Warning: {changed} {text}.", file=sys.stderr)
    if json:
        print_json([changed])
    else:
        print(f"{changed}: {_changes(changed)}")


def _changes(changed: "ChangedPrerequisites") -> str:
    done = [f"added {_some(changed.added)}"] if changed.added else []
    done += [f"removed {_some(changed.removed)}"] if changed.removed else []
    return f"{', '.join(done) or 'nothing to change'}; it waits for {counted(changed.unmet, 'job')}"


def _some(job_ids: list[str]) -> str:
    from tracker.jobs.validation import some_of

    return some_of(job_ids)
