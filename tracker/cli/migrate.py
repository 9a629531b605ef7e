"""`tracker migrate`: create and upgrade the database's schema."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.database import database_url
from tracker.cli.output import Json, counted, print_json, print_rows, time_text

if TYPE_CHECKING:
    from tracker.store.migrate import MigrationState


def migrate(
    status: Annotated[
        bool, typer.Option("--status", help="Only show which migrations the database has had.")
    ] = False,
    json: Json = False,
) -> None:
    """Create or upgrade the database's schema. Safe to run twice, and from two places at once."""
    from tracker.store import migrate as store

    if status:
        _print_status(store.status(database_url()), json=json)
        return
    applied = store.migrate(database_url())
    if json:
        print_json({"migration": title} for title in applied)
    elif applied:
        print(f"Applied {counted(len(applied), 'migration')}: {', '.join(applied)}.")
    else:
        print("The schema is up to date.")


def _print_status(states: "Iterable[MigrationState]", *, json: bool) -> None:
    shown = [
        (
            state.version,
            state.name,
            round(state.applied_time.timestamp() * 1000) if state.applied_time else None,
        )
        for state in states
    ]
    if json:
        print_json({"version": version, "name": name, "appliedTime": time} for version, name, time in shown)
        return
    rows = ((version, name, "missing" if time is None else time_text(time)) for version, name, time in shown)
    print_rows(("VERSION", "NAME", "APPLIED"), rows)
