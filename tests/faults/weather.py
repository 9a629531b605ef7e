"""What befalls a round: faults drawn from a seed, rotated every few seconds, *none* among them.

Each fault, and each start of a member, has a source of chance of its own, made from the seed and its number:
so the same seed brings the same faults in the same order, however often a member dies meanwhile.
"""

import itertools
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import psycopg

from tests.faults.members import Process, assert_gone, kill_quietly, state_of
from tests.faults.proxy import TO_CLIENT, TO_SERVER, Proxy
from tests.faults.round import Round
from tracker.failpoints import POINTS
from tracker.lifeline import ExitStatus

MEMBERS = ("worker 0", "worker 1", "scheduler")
CLOCKS_S = (0, 0, 0, 3600, -3600)
AIMED_S = 6.0  # until a member has started and come to where it is to die or freeze, at most
ORPHANS_GONE_S = 8.0  # 5 are promised; the rest is for a busy machine

Fault = Callable[["Weather"], Iterator[None]]
FAULTS: dict[str, Fault] = {}
REQUESTED: dict[str, Fault] = {}
"""Faults that are brought only where they are named: aimed at what those of `FAULTS` hit by chance."""


def fault(function: Fault) -> Fault:
    """Make a fault of a generator: it begins, yields while the fault lasts, and puts things right."""
    FAULTS[function.__name__.replace("_", " ")] = function
    return function


def requested(function: Fault) -> Fault:
    """Make a fault that is brought only where it is named."""
    REQUESTED[function.__name__.replace("_", " ")] = function
    return function


class Weather:
    """Brings faults over a round, and keeps the members running, as a supervisor would.

    `counts` says how often each fault was brought.
    """

    def __init__(self, a_round: Round, seed: int) -> None:
        self.round, self.seed = a_round, seed
        self.random = random.Random(seed)  # of the fault that is being brought
        self.site = a_round.site
        self.counts: Counter[str] = Counter()
        self.members: dict[str, Process] = {}
        self.thawing: list[Process] = []  # that may freeze yet, after their fault is over
        self._pause = threading.Event()
        self._starts = itertools.count()

    def begin(self) -> None:
        """Start the members."""
        for what in MEMBERS:
            self.start(what)

    def start(self, what: str, fail: str = "", **variables: str) -> Process:
        """Start a member, with a clock that may be wrong."""
        clock_offset_s = random.Random(f"{self.seed}/start/{next(self._starts)}").choice(CLOCKS_S)
        self.members[what] = self.round.start(what, fail=fail, clock_offset_s=clock_offset_s, **variables)
        return self.members[what]

    def storm(self, until: Callable[[], bool], *, names: tuple[str, ...] = ()) -> None:
        """Bring one or two faults at a time, of these or of all, until told to stop; leave all well."""
        names = names or tuple(sorted(FAULTS))
        for number in itertools.count():
            if until():
                break
            chance = random.Random(f"{self.seed}/{number}")
            picked = chance.sample(names, min(len(names), chance.choice([1, 1, 2, 3])))
            seconds, quiet_s = chance.uniform(0.5, 4.0), chance.uniform(0.0, 1.0)
            self.bring(picked, seconds, until, number)
            self.last(quiet_s, until)

    def bring(
        self, names: list[str], seconds: float, until: Callable[[], bool] = lambda: False, number: int = 0
    ) -> None:
        """Bring these faults, for so long; `number` says which these are of a storm."""
        with ExitStack() as faults:
            for name in names:
                self.round.note(f"{number}: {name} begins")
                self.random = random.Random(f"{self.seed}/{number}/{name}")
                with suppress(psycopg.OperationalError):  # another fault has taken PostgreSQL away
                    faults.enter_context(contextmanager((FAULTS | REQUESTED)[name])(self))
                    self.counts[name] += 1
            self.last(seconds, until)
            self.round.note(f"{number}: over")
        self.round.note(f"{number}: undone")
        self.site.heal()

    def last(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let things be for so long, but for members that have died, which are started again."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not until() and not self.round.problems:
            self.tend()
            self._pause.wait(0.05)

    def calm(self, limit_s: float) -> None:
        """Put right what a fault may have left, and keep the members running until all is played.

        Or until nothing has moved for so long.
        """
        self.restore()
        before: object = None
        while not self.round.is_played and not self.round.problems and before != self._moved():
            before = self._moved()
            self.last(limit_s, until=lambda: self.round.is_played)

    def _moved(self) -> tuple[int, int, int]:
        return self.round.sent, self.round.watcher.processed, len(self.round.reader.received)

    def restore(self) -> None:
        """Have the servers run, and the network and the members' signals as they should be."""
        self.site.heal()
        for broker in self.site.stack.brokers:
            if not broker.is_running():
                broker.start()
        postgres = self.site.stack.postgres
        assert postgres is not None
        if not postgres.is_running():
            postgres.start()
        for process in self.members.values():
            if process.is_running:
                process.thaw()

    def tend(self) -> None:
        """Start again what has died; what has given up by itself is a problem."""
        for process in self.thawing:
            process.thaw()
        for what, process in self.members.items():
            if not process.is_running:
                status = process.wait_for_end()
                self.round.note(f"{what} ({process.pid}) ended with {status}")
                gave_up = {ExitStatus.REFUSED, ExitStatus.SLOT_SHARED, -signal.SIGABRT, -signal.SIGSEGV}
                if status in gave_up or process.has_logged("unexpected error"):
                    self.round.problems.append(f"{what} gave up with {status}:\n{process.tail()}")
                self.start(what)

    def some_member(self) -> Process:
        return self.members[self.random.choice(MEMBERS)]

    def some_proxy(self) -> Proxy:
        return self.random.choice(self.site.proxies)


@fault
def no_fault(_weather: Weather) -> Iterator[None]:
    yield


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
    machine.kill()
    try:
        assert_gone(children, ORPHANS_GONE_S)
    except AssertionError as error:
        weather.round.problems.append(f"the supervisor was killed: {error}")
        machine.end()


@fault
def another_machine_stopped_in_order(weather: Weather) -> Iterator[None]:
    machine = weather.round.start("run", TRACKER_INSTANCE="other", TRACKER_WORKERS="1")
    weather.last(4.0)
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
def a_broker_killed(weather: Weather) -> Iterator[None]:
    broker = weather.random.choice(weather.site.stack.brokers)
    broker.kill()
    yield
    broker.start()


@fault
def postgres_ended_at_once(weather: Weather) -> Iterator[None]:
    postgres = weather.site.stack.postgres
    assert postgres is not None
    postgres.kill()
    yield
    postgres.start()


@fault
def sessions_terminated(weather: Weather) -> Iterator[None]:
    with admin(weather) as database:
        sessions = database.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'tracker%'"
            " ORDER BY application_name, backend_start"
        ).fetchall()
        for (pid,) in sessions:
            if weather.random.random() < 0.7:
                database.execute("SELECT pg_terminate_backend(%s)", [pid])
    yield


@fault
def no_connections_left(weather: Weather) -> Iterator[None]:
    with admin(weather) as database, ExitStack() as taken:
        with suppress(psycopg.OperationalError):
            while True:
                taken.callback(psycopg.connect(weather.site.stack.database_url).close)
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'tracker-%'"
        )
        with suppress(psycopg.OperationalError):
            while True:
                taken.callback(psycopg.connect(weather.site.stack.database_url).close)
        yield


@fault
def read_only(weather: Weather) -> Iterator[None]:
    with admin(weather) as database:
        database.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        database.execute("SELECT pg_reload_conf()")
    yield
    while True:
        with suppress(psycopg.OperationalError), admin(weather) as database:
            database.execute("ALTER SYSTEM RESET default_transaction_read_only")
            database.execute("SELECT pg_reload_conf()")
            return


@contextmanager
def admin(weather: Weather) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A session that does not care about read-only; none where PostgreSQL is down on purpose."""
    url = weather.site.stack.database_url
    options = "-c default_transaction_read_only=off"
    database = psycopg.connect(url, autocommit=True, options=options)
    try:
        yield database
    finally:
        database.close()


@fault
def the_outcome_of_a_commit_unknown(weather: Weather) -> Iterator[None]:
    choice = weather.random.choice
    weather.site.postgres_proxy.trap(
        "COMMIT", before=choice([True, False]), stay_down=choice([True, False]), skip=choice([0, 1, 5, 20])
    )
    yield


@fault
def the_outcome_of_a_kafka_transaction_unknown(weather: Weather) -> Iterator[None]:
    choice = weather.random.choice
    request = choice(["EndTxn", "EndTxn", "TxnOffsetCommit", "AddOffsetsToTxn", "Produce"])
    choice(weather.site.kafka_proxies).trap(
        request, before=choice([True, False]), stay_down=choice([True, False]), skip=choice([0, 1, 5, 20])
    )
    yield


@fault
def a_slow_network(weather: Weather) -> Iterator[None]:
    weather.some_proxy().delay_s = weather.random.choice([0.005, 0.03, 0.2])
    yield


@fault
def a_silent_network(weather: Weather) -> Iterator[None]:
    weather.some_proxy().block(*weather.random.choice([(TO_SERVER,), (TO_CLIENT,), ()]))
    yield


@fault
def a_cut_network(weather: Weather) -> Iterator[None]:
    proxy = weather.some_proxy()
    proxy.cut(stay_down=weather.random.choice([True, False]))
    yield


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
