"""Faults of workers, schedulers and supervisors."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.faults.members import assert_gone, kill_quietly, state_of
from tests.faults.registry import MEMBERS, fault, requested
from tracker.failpoints import POINTS

if TYPE_CHECKING:
    from tests.faults.fault_injector import FaultInjector

POINT_REACHED_S = 6.0  # at most, until a member has started and reached the point where it dies or freezes
ORPHANS_GONE_S = 8.0  # the promise is 5; the rest is for a busy machine
ORPHANS_BEGIN_S = 30.0


@fault
def a_member_killed(injector: FaultInjector) -> Iterator[None]:
    injector.random_member().kill()
    yield


@fault
def a_member_killed_at_a_point(injector: FaultInjector) -> Iterator[None]:
    point = injector.random.choice(POINTS)
    what = "scheduler" if point.startswith("scheduler") else injector.random.choice(MEMBERS[:2])
    injector.members[what].kill()
    injector.start(what, f"{point} kill {injector.random.randint(1, 5)}")
    yield


@fault
def a_member_frozen(injector: FaultInjector) -> Iterator[None]:
    process = injector.random_member()
    process.freeze()
    yield
    process.thaw()


@fault
def a_member_frozen_at_a_point(injector: FaultInjector) -> Iterator[None]:
    point = injector.random.choice(POINTS)
    what = "scheduler" if point.startswith("scheduler") else injector.random.choice(MEMBERS[:2])
    injector.members[what].kill()
    process = injector.start(what, f"{point} stop {injector.random.randint(1, 5)}")
    injector.wait(2.0)
    yield
    process.thaw()
    injector.to_thaw.append(process)


@fault
def another_machine_and_its_supervisor_killed(injector: FaultInjector) -> Iterator[None]:
    machine = injector.round.start("run", TRACKER_INSTANCE="other", TRACKER_WORKERS="1")
    injector.wait(4.0)
    yield
    children = list(machine.children().values())
    # On a busy machine, a child that has not reached its first line cannot have noticed yet.
    begun = {line.get("process") for line in machine.lines()} >= machine.children().keys()
    machine.kill()
    try:
        assert_gone(children, ORPHANS_GONE_S if begun else ORPHANS_BEGIN_S)
    except AssertionError as error:
        injector.round.problems.append(f"the supervisor was killed: {error}")
        machine.end()


@fault
def another_machine_stopped_in_order(injector: FaultInjector) -> Iterator[None]:
    machine = injector.round.start("run", TRACKER_INSTANCE="other", TRACKER_WORKERS="1")
    injector.wait(4.0)
    # Before the supervisor handles signals, SIGTERM would simply kill it.
    injector.wait(POINT_REACHED_S, until=lambda: machine.has_logged("supervisor started"))
    yield
    injector.cluster.heal()
    kill_quietly(machine.pid, signal.SIGTERM)
    machine.wait_for_end()
    machine.end()


@fault
def workers_that_come_and_go(injector: FaultInjector) -> Iterator[None]:
    for _ in range(3):
        guest = injector.round.start("worker 2")
        injector.wait(1.5)
        kill_quietly(guest.pid, injector.random.choice([signal.SIGTERM, signal.SIGKILL]))
        injector.wait(0.2)
        guest.kill()
    yield


@fault
def a_clock_hours_ahead(injector: FaultInjector) -> Iterator[None]:
    """Brokers refuse its messages until its clock is right."""
    what = injector.random.choice(MEMBERS)
    injector.members[what].kill()
    process = injector.start(what, clock_offset_s=injector.random.randint(2, 48) * 3_600)
    injector.wait(
        POINT_REACHED_S, until=lambda: not process.is_running or "machine's clock" in process.tail()
    )
    yield
    process.set_clock(0)


@requested
def a_worker_killed_before_its_kafka_commit(injector: FaultInjector) -> Iterator[None]:
    """The database has the batch, and no reader has seen it: it is redelivered."""
    point = injector.random.choice(("after-database-commit", "after-produce", "after-offsets"))
    what = injector.random.choice(MEMBERS[:2])
    injector.members[what].kill()
    victim = injector.start(what, f"{point} kill {injector.random.randint(3, 20)}")
    injector.wait(POINT_REACHED_S, until=lambda: not victim.is_running)
    yield


@requested
def the_scheduler_killed_after_its_kafka_commit(injector: FaultInjector) -> Iterator[None]:
    """Only Kafka knows what it has sent."""
    injector.members["scheduler"].kill()
    victim = injector.start("scheduler", "scheduler-after-kafka-commit kill 1")
    injector.wait(POINT_REACHED_S, until=lambda: not victim.is_running)
    yield


@requested
def a_zombie_that_is_slow(injector: FaultInjector) -> Iterator[None]:
    """Frozen with a batch until another worker has done it; then it rejoins the group before it commits."""
    what = injector.random.choice(MEMBERS[:2])
    injector.members[what].kill()
    zombie = injector.start(
        what,
        "after-begin stop 5\nafter-produce sleep:2.5 5",
        TRACKER_KAFKA_PRODUCER_TRANSACTION_TIMEOUT_MS="20000",  # longer than the freeze
    )
    injector.wait(POINT_REACHED_S, until=lambda: state_of(zombie.pid) == "T" or not zombie.is_running)
    injector.wait(4.0)  # its session ends, and the others do the batch
    yield
    zombie.thaw()
    injector.wait(4.0)


@requested
def workers_that_wake_at_once(injector: FaultInjector) -> Iterator[None]:
    """Each has a backlog of the same jobs, and transactions last a while: so they meet."""
    injector.cluster.postgres_proxy.delay_s = 0.004
    for _ in range(3):
        workers = [injector.members[what] for what in MEMBERS[:2]]
        for worker in workers:
            worker.freeze()
        injector.wait(1.0)  # shorter than a session
        for worker in workers:
            worker.thaw()
        injector.wait(1.0)
    yield
