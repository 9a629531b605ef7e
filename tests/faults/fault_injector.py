"""Injects faults into a round: drawn from a seed, a new set every few seconds, *no fault* among them.

Each fault, and each start of a member, has a random source of its own, seeded with the seed and its number.
So the same seed injects the same faults in the same order, however often a member dies meanwhile.
"""

import itertools
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, contextmanager, suppress

import psycopg

from tests.faults import (  # noqa: F401 - they register faults
    database_faults,
    kafka_faults,
    member_faults,
    role_faults,
)
from tests.faults.members import Process
from tests.faults.proxy import Proxy
from tests.faults.registry import FAULTS, MEMBERS, REQUESTED, possible
from tests.faults.round import Round
from tracker.lifeline import ExitStatus

CLOCKS_S = (0, 0, 0, 3_600, -3_600, -6 * 3_600)
"""How wrong a member's clock may be without harm: brokers refuse messages that are over an hour ahead."""


class FaultInjector:
    """Injects faults into a round, and supervises its members.

    `counts` has the number of times that each fault was injected.
    """

    def __init__(self, a_round: Round, seed: int) -> None:
        self.round, self.seed = a_round, seed
        self.random = random.Random(seed)  # of the fault that is being injected
        self.cluster = a_round.cluster
        self.counts: Counter[str] = Counter()
        self.members: dict[str, Process] = {}
        self.to_thaw: list[Process] = []  # they may freeze themselves after their fault is over
        self._pause = threading.Event()
        self._starts = itertools.count()

    def start_members(self) -> None:
        """Start the workers and the scheduler."""
        for what in MEMBERS:
            self.start(what)

    def start(
        self, what: str, fail: str = "", *, clock_offset_s: int | None = None, **variables: str
    ) -> Process:
        """Start a member. Its clock is off by the given seconds; without them, by an amount that is drawn."""
        drawn_s = random.Random(f"{self.seed}/start/{next(self._starts)}").choice(CLOCKS_S)
        clock_s = drawn_s if clock_offset_s is None else clock_offset_s
        self.members[what] = self.round.start(what, fail=fail, clock_offset_s=clock_s, **variables)
        return self.members[what]

    def run_chaos(self, until: Callable[[], bool], *, names: tuple[str, ...] = ()) -> None:
        """Inject one to three faults at a time until `until` is true, then undo them.

        `names`: the faults to draw from; without them, all that the round allows.
        """
        names = names or tuple(possible(self.round))
        for number in itertools.count():
            if until():
                break
            chance = random.Random(f"{self.seed}/{number}")
            picked = chance.sample(names, min(len(names), chance.choice([1, 1, 2, 3])))
            seconds, quiet_s = chance.uniform(0.5, 4.0), chance.uniform(0.0, 1.0)
            self.inject(picked, seconds, until, number)
            self.wait(quiet_s, until)

    def inject(
        self, names: list[str], seconds: float, until: Callable[[], bool] = lambda: False, number: int = 0
    ) -> None:
        """Inject these faults, wait that long, and undo them. `number`: the position in a chaos run."""
        with ExitStack() as faults:
            for name in names:
                self.round.note(f"{number}: {name} begins")
                self.random = random.Random(f"{self.seed}/{number}/{name}")
                with suppress(psycopg.OperationalError):  # another fault has stopped PostgreSQL
                    faults.enter_context(contextmanager((FAULTS | REQUESTED)[name])(self))
                    self.counts[name] += 1
            self.wait(seconds, until)
            self.round.note(f"{number}: over")
        self.round.note(f"{number}: undone")
        self.cluster.heal()

    def wait(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Wait, at most until `until` is true, and supervise the members meanwhile."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not until() and not self.round.problems:
            self.supervise()
            self._pause.wait(0.05)

    def heal(self, limit_s: float) -> None:
        """Undo what faults may have left, and supervise the members until all jobs are played.

        Give up when nothing has moved for `limit_s`.
        """
        self.restore()
        before: object = None
        while not self.round.is_played and not self.round.problems and before != self._moved():
            before = self._moved()
            self.wait(limit_s, until=lambda: self.round.is_played)

    def _moved(self) -> tuple[int, int, int]:
        # Not the group's offset: it moves past aborted records as well, and these do not stop.
        return self.round.sent, self.round.player.unprocessed, len(self.round.reader.received)

    def restore(self) -> None:
        """Start the servers that are down, heal the network, restore the role, and thaw the members."""
        self.cluster.heal()
        for broker in self.cluster.stack.brokers:
            if not broker.is_running():
                broker.start()
        postgres = self.cluster.stack.postgres
        assert postgres is not None
        if not postgres.is_running():
            postgres.start()
        pooler = self.cluster.pooler
        if pooler is not None and not pooler.is_running():
            pooler.start()
        self.round.restore()
        for process in self.members.values():
            if process.is_running:
                process.thaw()

    def supervise(self) -> None:
        """Restart members that have died. A member that gave up by itself is a problem."""
        for process in self.to_thaw:
            process.thaw()
        for what, process in self.members.items():
            if not process.is_running:
                status = process.wait_for_end()
                self.round.note(f"{what} ({process.pid}) ended with {status}")
                gave_up = {ExitStatus.REFUSED, ExitStatus.SLOT_SHARED, -signal.SIGABRT, -signal.SIGSEGV}
                if status in gave_up or process.has_logged("unexpected error"):
                    self.round.problems.append(f"{what} gave up with {status}:\n{process.tail()}")
                self.start(what)

    def random_member(self) -> Process:
        return self.members[self.random.choice(MEMBERS)]

    def random_proxy(self) -> Proxy:
        return self.random.choice(self.cluster.proxies)
