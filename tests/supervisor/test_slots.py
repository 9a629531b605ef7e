"""Slots on a real PostgreSQL: claimed, lost, claimed again, and taken by others."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.supervisor.harness import START_S, Program
from tests.supervisor.relay import Relay
from tests.support.kafka import wait_until
from tracker.store import locks
from tracker.store.migrate import check_schema
from tracker.store.worker_rows import WorkerActivity
from tracker.supervisor.slots import SlotKeeper


class Changes:
    """Waits for what a keeper tells of."""

    def __init__(self) -> None:
        self._condition = threading.Condition()

    def __call__(self) -> None:
        with self._condition:
            self._condition.notify_all()

    def wait_for(self, state: Callable[[], bool]) -> None:
        with self._condition:
            assert self._condition.wait_for(state, START_S)


class Kept:
    """A keeper that runs."""

    def __init__(
        self,
        conninfo: str,
        *,
        group_id: str = "tracker",
        instance: str = "host",
        count: int = 2,
        activities: Callable[[], Sequence[WorkerActivity]] = tuple,
    ) -> None:
        self.changes = Changes()
        names = {"group_id": group_id, "instance": instance}
        self.keeper = SlotKeeper(conninfo, self.changes, activities, **names, count=count, check=check_schema)
        self.keeper.start()

    def slots(self) -> tuple[int, ...]:
        """Return its slots, once it holds them."""
        self.changes.wait_for(lambda: self.keeper.waiting_for is None)
        assert self.keeper.slots is not None
        return self.keeper.slots

    def failure(self) -> str:
        """Return why it has given up, once it has."""
        self.changes.wait_for(lambda: self.keeper.failure is not None)
        assert self.keeper.failure is not None
        return self.keeper.failure


Keep = Callable[..., Kept]


@pytest.fixture
def keep() -> Iterator[Keep]:
    """Make keepers that are closed at the end."""
    made: list[Kept] = []

    def make(conninfo: str, **names: object) -> Kept:
        made.append(Kept(conninfo, **names))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for kept in made:
        kept.keeper.close()


@pytest.fixture
def relay(database_url: str) -> Iterator[tuple[Relay, str]]:
    """A relay to the database, and the database's URL through it."""
    with psycopg.connect(database_url) as connection:
        host, port = connection.info.hostaddr or connection.info.host, connection.info.port
    with Relay(host, port) as made:
        yield made, make_conninfo(database_url, host="127.0.0.1", hostaddr="127.0.0.1", port=made.port)


def end_supervisors(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE application_name = 'tracker supervisor' AND datname = current_database()"
        )


def test_two_keepers_take_different_slots(database_url: str, keep: Keep) -> None:
    assert keep(database_url).slots() == (0, 1)
    assert keep(database_url, count=3).slots() == (2, 3, 4)


def test_another_group_or_instance_has_slots_of_its_own(database_url: str, keep: Keep) -> None:
    assert keep(database_url).slots() == (0, 1)
    assert keep(database_url, group_id="other").slots() == (0, 1)
    assert keep(database_url, instance="other").slots() == (0, 1)


def test_slots_that_were_given_back_are_taken_again(database_url: str, keep: Keep) -> None:
    first = keep(database_url)
    assert first.slots() == (0, 1)
    first.keeper.close()
    assert keep(database_url, count=1).slots() == (0,)


def test_a_lost_connection_is_replaced_and_the_same_slots_claimed(database_url: str, keep: Keep) -> None:
    kept = keep(database_url)
    assert kept.slots() == (0, 1)
    end_supervisors(database_url)
    kept.changes.wait_for(lambda: kept.keeper.waiting_for is not None)
    assert kept.slots() == (0, 1)
    assert keep(database_url).slots() == (2, 3)


def test_slots_that_the_server_still_holds_for_a_lost_connection_are_claimed_again(
    relay: tuple[Relay, str], keep: Keep
) -> None:
    between, conninfo = relay
    kept = keep(conninfo)
    assert kept.slots() == (0, 1)
    between.cut()
    kept.changes.wait_for(lambda: kept.keeper.waiting_for is not None)
    assert kept.slots() == (0, 1)
    assert kept.keeper.failure is None


def test_slots_taken_meanwhile_are_a_reason_to_stop(database_url: str, keep: Keep) -> None:
    kept = keep(database_url)
    assert kept.slots() == (0, 1)
    with psycopg.connect(database_url, autocommit=True) as thief:
        # It waits for the lock, so it has it as soon as it is free.
        key = locks.text_key("tracker", "host", "0")
        ask = f"SELECT pg_advisory_lock({locks.SLOT}, {key})"
        stealing = threading.Thread(target=thief.execute, args=[ask])
        stealing.start()
        with psycopg.connect(database_url, autocommit=True) as watcher:
            while watcher.execute("SELECT FROM pg_locks WHERE NOT granted").fetchone() is None:
                pass
        end_supervisors(database_url)
        stealing.join(START_S)
        assert kept.failure().startswith("slot 0 of instance 'host' was taken by another tracker")


def test_a_database_without_the_schema_is_refused_at_once(empty_database_url: str) -> None:
    with Program(database_url=empty_database_url) as program:
        assert program.wait() == 1
        assert "the database has no tracker schema yet: run 'tracker migrate'" in program.events()


def test_it_waits_for_a_database_that_is_away(database_url: str) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # not listening: connections are refused, and nobody else gets it
        port = reserved.getsockname()[1]
        away = make_conninfo(database_url, host="127.0.0.1", hostaddr="127.0.0.1", port=port)
        with Program(database_url=away) as program:
            reason = program.next("waiting for PostgreSQL")["reason"]
            missing = {"database": reason}
            wait_until(lambda: program.get_until("/readyz", 503)["missing"] == missing, "it to be shown")
            assert program.get("/livez")[0] == 200
            assert program.stop() == 0


def test_two_supervisors_on_one_host_run_different_workers(database_url: str) -> None:
    with Program(database_url=database_url) as one, Program(database_url=database_url) as other:
        one.next("ready")
        other.next("ready")
        started = [line["child"] for line in [*one.lines, *other.lines] if line["event"] == "child started"]
        assert sorted(started) == ["worker-0", "worker-1", "worker-2", "worker-3"]
        assert one.stop() == other.stop() == 0


def test_a_supervisor_that_is_killed_leaves_its_slots_to_the_next(database_url: str) -> None:
    with Program(database_url=database_url) as program:
        program.next("ready")
        program.signal(signal.SIGKILL)
        program.all_gone(5.0)
    with Program(database_url=database_url) as program:
        assert program.next("slots claimed")["slots"] == [0, 1]
        assert program.stop() == 0


def test_what_the_workers_do_is_written_while_they_run(database_url: str) -> None:
    asked = "SELECT slot, member_id, ready, detail FROM worker_process ORDER BY slot"
    with psycopg.connect(database_url, autocommit=True) as connection:
        with Program(database_url=database_url) as program:
            program.next("ready")
            rows = [(slot, f"tracker-host-{slot}", True, "") for slot in (0, 1)]
            wait_until(lambda: connection.execute(asked).fetchall() == rows, "rows")
            assert program.stop() == 0
        assert connection.execute(asked).fetchall() == []


def test_slots_are_held_although_nothing_can_be_written(database_url: str, keep: Keep) -> None:
    """The role may lack the right, or the server may be a standby."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP TABLE tracker.worker_process")
    asked = threading.Semaphore(0)
    activity = WorkerActivity(0, True, "", None, 0.0, {}, [])

    def activities() -> list[WorkerActivity]:
        asked.release()
        return [activity]

    kept = keep(database_url, activities=activities)
    kept.slots()
    for _ in range(2):
        assert asked.acquire(timeout=START_S)
    assert (kept.keeper.failure, kept.keeper.waiting_for) == (None, None)


def test_work_continues_while_the_database_connection_is_replaced(database_url: str) -> None:
    with Program(database_url=database_url) as program:
        program.next("ready")
        end_supervisors(database_url)
        program.next("slots claimed again", slots=[0, 1])
        assert "child stopped" not in program.events()
        assert "no longer ready" not in program.events()
        assert program.stop() == 0
