"""`tracker migrate`: create and upgrade the database's schema."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.database import database_url
from tracker.cli.output import Json, counted, in_one_line, print_json, print_rows, time_text
from tracker.cli.progress_bar import working

if TYPE_CHECKING:
    from tracker.store.migrate import MigrationState


def migrate(
    status: Annotated[
        bool, typer.Option("--status", help="Only show which migrations the database has had.")
    ] = False,
    grant_run: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE", help="A role that runs the tracker, or submits or changes jobs."),
    ] = None,
    grant_read: Annotated[
        list[str] | None, typer.Option(metavar="ROLE", help="A role that only looks at jobs.")
    ] = None,
    json: Json = False,
) -> None:
    """Create or upgrade the database's schema. It is safe to run twice, and from two places at once.

    Each role is granted exactly the rights that it needs. New versions may need more, so name the roles at
    each upgrade.
    """
    from tracker.store import grants
    from tracker.store import migrate as store

    roles = [(role, grants.RUN) for role in grant_run or ()]
    roles += [(role, grants.READ) for role in grant_read or ()]
    if status and roles:
        raise typer.BadParameter(
            "--status changes nothing, so it goes with neither --grant-run nor --grant-read"
        )
    if len({role for role, _ in roles}) < len(roles):
        raise typer.BadParameter("a role is granted one kind of rights, so it can be named only once")

    if status:
        _print_status(store.status(database_url()), json=json)
        return
    with working("Migrating ...") as say:
        applied = store.migrate(database_url(), lambda name: say(f"Applying {name} ..."))
    if roles:
        grants.grant(database_url(), roles)
    if json:
        print_json({"migration": title} for title in applied)
        print_json({"role": role, "granted": rights.option[len("--grant-") :]} for role, rights in roles)
        return
    if applied:
        print(f"Applied {counted(len(applied), 'migration')}: {', '.join(applied)}.")
    else:
        print("The schema is up to date.")
    for role, rights in roles:
        print(f"Granted to {in_one_line(role)}: {rights.about}.")


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
