"""What befalls workers, schedulers and supervisors."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.faults.members import assert_gone, kill_quietly, state_of
from tests.faults.registry import MEMBERS, fault, requested
from tracker.failpoints import POINTS

if TYPE_CHECKING:
    from tests.faults.weather import Weather

AIMED_S = 6.0  # until a member has started and come to where it is to die or freeze, at most
ORPHANS_GONE_S = 8.0  # 5 are promised; the rest is for a busy machine
ORPHANS_BEGIN_S = 30.0


@fault
def a_member_killed(weather: Weather) -> Iterator[None]:
    weather.some_member().kill()
    yield


@fault
def a_member_killed_at_a_point(weather: Weather) -> Iterator[None]:
    point = weather.random.choice(POINTS)
    what = "scheduler" if point.startswith("scheduler") else weather.random.choice(MEMBERS[:2])
    weather.members[what].kill()
    weather.start(what, f"{point} kill {weather.random.randint(1, 5)}")
    yield


@fault
def a_member_frozen(weather: Weather) -> Iterator[None]:
    process = weather.some_member()
    process.freeze()
    yield
    process.thaw()


@fault
def a_member_frozen_at_a_point(weather: Weather) -> Iterator[None]:
    point = weather.random.choice(POINTS)
    what = "scheduler" if point.startswith("scheduler") else weather.random.choice(MEMBERS[:2])
    weather.members[what].kill()
    process = weather.start(what, f"{point} stop {weather.random.randint(1, 5)}")
    weather.last(2.0)
    yield
    process.thaw()
    weather.thawing.append(process)


@fault
def another_machine_and_its_supervisor_killed(weather: Weather) -> Iterator[None]:
    machine = weather.round.start("run", TRACKER_INSTANCE="other", TRACKER_WORKERS="1")
    weather.last(4.0)
    yield
    children = list(machine.children().values())
    # One that has not got to its first line, on a busy machine, cannot have noticed either.
    begun = {line.get("process") for line in machine.lines()} >= machine.children().keys()
    machine.kill()
    try:
        assert_gone(children, ORPHANS_GONE_S if begun else ORPHANS_BEGIN_S)
    except AssertionError as error:
        weather.round.problems.append(f"the supervisor was killed: {error}")
        machine.end()


@fault
def another_machine_stopped_in_order(weather: Weather) -> Iterator[None]:
    machine = weather.round.start("run", TRACKER_INSTANCE="other", TRACKER_WORKERS="1")
    weather.last(4.0)
    # A signal before it listens to signals would end it as it ends any process.
    weather.last(AIMED_S, until=lambda: machine.has_logged("supervisor started"))
    yield
    weather.site.heal()
    kill_quietly(machine.pid, signal.SIGTERM)
    machine.wait_for_end()
    machine.end()


@fault
def workers_that_come_and_go(weather: Weather) -> Iterator[None]:
    for _ in range(3):
        guest = weather.round.start("worker 2")
        weather.last(1.5)
        kill_quietly(guest.pid, weather.random.choice([signal.SIGTERM, signal.SIGKILL]))
        weather.last(0.2)
        guest.kill()
    yield


@fault
def a_clock_hours_ahead(weather: Weather) -> Iterator[None]:
    """Brokers take nothing from it until its clock is right."""
    what = weather.random.choice(MEMBERS)
    weather.members[what].kill()
    process = weather.start(what, clock_offset_s=weather.random.randint(2, 48) * 3_600)
    weather.last(AIMED_S, until=lambda: not process.is_running or "machine's clock" in process.tail())
    yield
    process.set_clock(0)


@requested
def a_worker_killed_before_its_kafka_commit(weather: Weather) -> Iterator[None]:
    """The database has the batch, and nobody has seen it: it comes again."""
    point = weather.random.choice(("after-database-commit", "after-produce", "after-offsets"))
    what = weather.random.choice(MEMBERS[:2])
    weather.members[what].kill()
    victim = weather.start(what, f"{point} kill {weather.random.randint(3, 20)}")
    weather.last(AIMED_S, until=lambda: not victim.is_running)
    yield


@requested
def the_scheduler_killed_behind_its_kafka_commit(weather: Weather) -> Iterator[None]:
    """What it has sent is known to Kafka alone."""
    weather.members["scheduler"].kill()
    victim = weather.start("scheduler", "scheduler-after-kafka-commit kill 1")
    weather.last(AIMED_S, until=lambda: not victim.is_running)
    yield


@requested
def a_zombie_that_is_slow(weather: Weather) -> Iterator[None]:
    """Frozen with a batch until others have done it; awake, back in the group before it commits."""
    what = weather.random.choice(MEMBERS[:2])
    weather.members[what].kill()
    zombie = weather.start(
        what,
        "after-begin stop 5\nafter-produce sleep:2.5 5",
        TRACKER_KAFKA_PRODUCER_TRANSACTION_TIMEOUT_MS="20000",  # it outlasts the frost
    )
    weather.last(AIMED_S, until=lambda: state_of(zombie.pid) == "T" or not zombie.is_running)
    weather.last(4.0)  # the end of its session, and the others' turn
    yield
    zombie.thaw()
    weather.last(4.0)


@requested
def workers_that_wake_at_once(weather: Weather) -> Iterator[None]:
    """A backlog of the same jobs waits for each, and transactions last a while: so they meet."""
    weather.site.postgres_proxy.delay_s = 0.004
    for _ in range(3):
        workers = [weather.members[what] for what in MEMBERS[:2]]
        for worker in workers:
            worker.freeze()
        weather.last(1.0)  # not as long as a session
        for worker in workers:
            worker.thaw()
        weather.last(1.0)
    yield
