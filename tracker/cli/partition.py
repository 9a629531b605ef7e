"""`tracker partition`: suspend and resume partition IDs."""

import typer

from tracker.cli.database import PartitionIds, open_client
from tracker.cli.output import Json, print_json, print_rows

app = typer.Typer(help="Suspend, resume and list partition IDs.", no_args_is_help=True)


@app.command()
def suspend(partition_ids: PartitionIds, json: Json = False) -> None:
    """Store the jobs of partition IDs, and do not send them until they are resumed."""
    with open_client() as client:
        client.suspend_partition(partition_ids)
    _print_states(partition_ids, suspended=True, json=json)


@app.command()
def resume(partition_ids: PartitionIds, json: Json = False) -> None:
    """Send the jobs of partition IDs again, and what has been stored meanwhile."""
    with open_client() as client:
        client.resume_partition(partition_ids)
    _print_states(partition_ids, suspended=False, json=json)


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


def _print_states(partition_ids: list[str], *, suspended: bool, json: bool) -> None:
    if json:
        print_json({"partitionId": name, "suspended": suspended} for name in partition_ids)
        return
    for name in partition_ids:
        print(f"{name}: {'suspended' if suspended else 'not suspended'}")
