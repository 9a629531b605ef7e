"""``tracker run``: makes a supervisor from the settings, and runs it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tracker import logs
from tracker.settings import Settings
from tracker.store import grants
from tracker.store.connect import Connection
from tracker.store.migrate import check_schema
from tracker.supervisor.children import ChildSpec
from tracker.supervisor.slots import SlotKeeper
from tracker.supervisor.supervisor import KeepSlots, Options, Supervisor

log = logs.get_logger()


def run(settings: Settings) -> int:
    """Run workers and scheduler until asked to stop, and return the exit status.

    Call it in the main thread of a process that does nothing else. All it reports is in the log.

    :raises SettingsError: the settings name no database.
    """
    log_options = logs.LogOptions(settings.log_format, settings.log_level)
    logs.configure("supervisor", log_options)
    for warning in settings.warnings:
        log.warning(warning)
    options = Options(
        shutdown_timeout_s=settings.shutdown_timeout_s,
        http=None if settings.http_port is None else (settings.http_host, settings.http_port),
        log=log_options,
    )
    return Supervisor(partial(children, settings), options, slot_keeper(settings)).run()


def children(settings: Settings, slots: Sequence[int]) -> list[ChildSpec]:
    """Return the children of one ``tracker run``: a worker for each slot, and the scheduler."""
    workers = [
        ChildSpec(f"worker-{slot}", "tracker.pipeline:run", (settings, slot), is_worker=True, slot=slot)
        for slot in slots
    ]
    return [*workers, ChildSpec("scheduler", "tracker.scheduler:run", (settings,))]


def slot_keeper(settings: Settings) -> KeepSlots:
    """Return a function that makes the slot keeper, as `Supervisor` calls it.

    :raises SettingsError: the settings name no database.
    """
    settings.database_conninfo()  # raises here, not later in the keeper's thread
    return partial(
        SlotKeeper,
        settings.database_conninfo,
        group_id=settings.group_id,
        instance=settings.instance,
        count=settings.workers,
        check=_check,
    )


def _check(connection: Connection) -> None:
    check_schema(connection)
    grants.require(connection, grants.RUN)
