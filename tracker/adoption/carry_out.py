"""Makes the changes that `tracker.adoption.plan` has found."""

import time
from collections.abc import Sequence
from contextlib import closing

from tracker.adoption.plan import Change
from tracker.adoption.survey import SentNumberState
from tracker.errors import TrackerError
from tracker.kafka.explain import kafka_errors
from tracker.kafka.inspection import CommittedOffset, commit_offset, connect_admin, has_members
from tracker.kafka.sent_number import SentNumber
from tracker.logs import kafka_logger
from tracker.settings import Settings
from tracker.store.adoption_store import AdoptionStore, adoption_store
from tracker.store.deployment import claim_deployment

_LEAVE_S = 25.0  # a process that was killed, or stopped while it joined, is a member until its session ends


def require_stopped(settings: Settings) -> None:
    """Return if nothing of the group runs; wait a moment for what has just been stopped.

    :raises TrackerError: something runs.
    """
    admin = connect_admin(settings, kafka_logger())
    deadline = time.monotonic() + _LEAVE_S
    while has_members(admin, settings.group_id):
        if time.monotonic() > deadline:
            raise TrackerError(
                f"the group {settings.group_id!r} has members: stop every 'tracker run' of it first"
                " (Kafka notices within 20 seconds that one was killed)"
            )
        time.sleep(0.2)


def carry_out(settings: Settings, changes: Sequence[Change]) -> None:
    """Make the changes. If it ends halfway, it can be done again.

    :raises TrackerError: something of the group runs, or Kafka or PostgreSQL refuses.
    """
    require_stopped(settings)
    database_id = claim_deployment(settings)
    with adoption_store(settings.database_conninfo()) as store:
        if not store.become_scheduler():
            raise TrackerError("a scheduler is active: stop every 'tracker run' of the database first")
        for change in changes:
            _in_database(store, change)
        store.commit()
        for change in changes:
            if change.offset is not None:
                _in_kafka(settings, change, change.offset, database_id)


def _in_database(store: AdoptionStore, change: Change) -> None:
    state = change.state
    if isinstance(state, SentNumberState):
        if change.in_database and change.offset is not None:
            store.set_sent_number(change.offset)
        return
    if change.releases_below:
        store.return_to_scheduler(state.kafka_partition, change.releases_below)
    store.remove_stale_skips(state.kafka_partition, state.topic_id)
    if change.offset is None:
        store.delete_progress(state.kafka_partition)
    elif change.in_database:
        store.set_progress(state.kafka_partition, change.offset, state.topic_id)


def _in_kafka(settings: Settings, change: Change, offset: int, database_id: str) -> None:
    """Commit the offset again: with the other offset, or only with this database's ID."""
    state = change.state
    with kafka_errors(f"the offset of {state.name} is not committed"):
        if isinstance(state, SentNumberState):
            with closing(SentNumber(settings)) as sent_number:
                sent_number.commit(offset, database_id)
        else:
            commit_offset(settings, state.kafka_partition, CommittedOffset(offset, database_id))
