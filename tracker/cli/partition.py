"""`tracker partition`: suspend and resume partition IDs."""

import sys

import typer

from tracker.cli.database import PartitionIds, open_client
from tracker.cli.output import Json, print_json, print_rows

app = typer.Typer(help="Suspend, resume and list partition IDs.", no_args_is_help=True)


@app.command()
def suspend(partition_ids: PartitionIds, json: Json = False) -> None:
    """Suspend partition IDs: their jobs are stored and not sent."""
    with open_client() as client:
        known = {state.partition_id for state in client.list_partitions()}
        client.suspend_partition(partition_ids)
    _print_states(partition_ids, known, suspended=True, json=json)


@app.command()
def resume(partition_ids: PartitionIds, json: Json = False) -> None:
    """Resume partition IDs: the jobs that were stored are sent too."""
    with open_client() as client:
        known = {state.partition_id for state in client.list_partitions()}
        client.resume_partition(partition_ids)
    _print_states(partition_ids, known, suspended=False, json=json)


@app.command("list")
def list_partitions(json: Json = False) -> None:
    """List the partition IDs that have been used."""
    with open_client() as client:
        partitions = client.list_partitions()
    if json:
        print_json(partitions)
    else:
        rows = ((state.partition_id, "suspended" if state.suspended else "") for state in partitions)
        print_rows(("PARTITION ID", "STATE"), rows)


def _print_states(partition_ids: list[str], known: set[str], *, suspended: bool, json: bool) -> None:
    """Print the state of partition IDs, and on stderr those that are new: they may be mistyped."""
    if json:
        print_json({"partitionId": name, "suspended": suspended} for name in partition_ids)
    for name in partition_ids:
        if not json:
            print(f"{name}: {'suspended' if suspended else 'not suspended'}")
        if name not in known:
            print(f"There is no partition ID {name} yet.", file=sys.stderr)
