"""Holds the slots of this supervisor's workers for as long as it runs, and writes what these workers do."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence

from tracker import logs
from tracker.errors import DatabaseUnavailable, TrackerError
from tracker.obstacles import Cause, Obstacles
from tracker.store.connect import Connection, Conninfo, connected
from tracker.store.explain import database_errors
from tracker.store.slots import BackendIdentity, end_session, identity_of, try_slot
from tracker.store.worker_rows import WorkerActivity, remove_workers, write_workers

PING_INTERVAL_S = 2.5
RETRY_INTERVAL_S = 1.0
WRITE_INTERVAL_S = 2 * PING_INTERVAL_S

log = logs.get_logger()


class SlotKeeper:
    """Claims slots by advisory locks on a connection of its own, and claims them again after it was lost.

    It works on a thread, so that the supervisor never waits for PostgreSQL. `on_change` is called on that
    thread after each change of the attributes below; it must return at once. So must `activities`, which
    returns what the workers do. While it holds the slots, it writes that to the database, so no worker has a
    thread or a connection for it, and no batch waits.

    `slots`: the claimed slots, None before they are claimed. They never change.
    `waiting_for`: what it waits for, in one sentence; None while the slots are held.
    `failure`: why it has given up, in one sentence; then the supervisor must stop.
    """

    def __init__(
        self,
        conninfo: Conninfo,
        on_change: Callable[[], None],
        activities: Callable[[], Sequence[WorkerActivity]] = tuple,
        *,
        group_id: str,
        instance: str,
        count: int,
        check: Callable[[Connection], None],
    ) -> None:
        """`check` is called with the first connection, and refuses the database with a `TrackerError`."""
        self.slots: tuple[int, ...] | None = None
        self.waiting_for: str | None = "the database has not been reached yet"
        self.failure: str | None = None
        self._conninfo = conninfo
        self._names = {"group_id": group_id, "instance": instance}
        self._count = count
        self._check = check
        self._on_change = on_change
        self._activities = activities
        self._sessions: list[BackendIdentity] = []
        self._closing = threading.Event()
        self._obstacles = Obstacles()
        self._thread = threading.Thread(target=self._run, name="slots", daemon=True)

    def start(self) -> None:
        """Begin to claim slots."""
        self._thread.start()

    def close(self) -> None:
        """Release the slots; call it when the workers have ended. It waits for a second at most."""
        self._closing.set()
        if self._thread.is_alive():
            # The thread may be in a call to a server that does not answer; the end of the process ends that
            # too.
            self._thread.join(timeout=1)

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                try:
                    self._hold()
                except DatabaseUnavailable as error:
                    self._wait_for_database(str(error))
                    self._closing.wait(RETRY_INTERVAL_S)
        except TrackerError as error:
            self._fail(str(error))
        except Exception as error:  # whatever the cause, the slots are not held
            log.debug("the slots are lost", exc_info=error)
            self._fail(f"the slots of the workers cannot be held: {type(error).__name__}: {error}")

    def _hold(self) -> None:
        """Claim slots, and hold them until the connection is lost or `close` is called."""
        with (
            database_errors(),
            connected(self._conninfo, application_name="tracker supervisor", autocommit=True) as connection,
        ):
            self._end_earlier_sessions(connection)
            if self.slots is None:
                self._check(connection)
                self.slots = self._claim_any(connection)
                log.info("slots claimed", slots=list(self.slots), **self._names)
            else:
                self._claim_again(connection, self.slots)
                log.info("slots claimed again", slots=list(self.slots), **self._names)
            self._obstacles.clear()
            self.waiting_for = None
            self._on_change()
            self._write_activities(connection, self.slots)

    def _write_activities(self, connection: Connection, slots: tuple[int, ...]) -> None:
        """Write what the workers do, until `close` is called; then remove it."""
        prefix = "-".join(self._names.values())
        member_ids = {slot: f"{prefix}-{slot}" for slot in slots}
        write_at_s = time.monotonic()
        while not self._closing.wait(PING_INTERVAL_S):
            connection.execute("SELECT 1")
            if time.monotonic() >= write_at_s:
                write_at_s = time.monotonic() + WRITE_INTERVAL_S - 0.5  # no ping is that early
                write_workers(connection, member_ids, self._activities())
        remove_workers(connection, member_ids.values())

    def _end_earlier_sessions(self, connection: Connection) -> None:
        """End our lost sessions: after a network failure the server may keep their locks for hours."""
        session = identity_of(connection)
        for earlier in self._sessions:
            end_session(connection, earlier)
        self._sessions = [session]

    def _claim_any(self, connection: Connection) -> tuple[int, ...]:
        free = (slot for slot in itertools.count() if try_slot(connection, **self._names, slot=slot))
        return tuple(itertools.islice(free, self._count))

    def _claim_again(self, connection: Connection, slots: tuple[int, ...]) -> None:
        for slot in slots:
            if not try_slot(connection, **self._names, slot=slot):
                raise TrackerError(
                    f"slot {slot} of instance '{self._names['instance']}' was taken by another tracker while "
                    "the database connection was lost: start this one again"
                )

    def _wait_for_database(self, reason: str) -> None:
        self._obstacles.report(Cause.DATABASE, reason)
        if self.waiting_for != reason:
            self.waiting_for = reason
            self._on_change()

    def _fail(self, failure: str) -> None:
        self.failure = failure
        self._on_change()
