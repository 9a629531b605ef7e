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
"""How wrong a member's clock may be while all goes on: brokers take no message that is over an hour ahead."""


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

    def start(
        self, what: str, fail: str = "", *, clock_offset_s: int | None = None, **variables: str
    ) -> Process:
        """Start a member, with a clock that is wrong by so much, or by chance."""
        drawn_s = random.Random(f"{self.seed}/start/{next(self._starts)}").choice(CLOCKS_S)
        clock_s = drawn_s if clock_offset_s is None else clock_offset_s
        self.members[what] = self.round.start(what, fail=fail, clock_offset_s=clock_s, **variables)
        return self.members[what]

    def storm(self, until: Callable[[], bool], *, names: tuple[str, ...] = ()) -> None:
        """Bring one or two faults at a time, of these or of all, until told to stop; leave all well."""
        names = names or tuple(possible(self.round))
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
        # Not the group's offset: it also moves past what is aborted, which goes on.
        return self.round.sent, self.round.player.unprocessed, len(self.round.reader.received)

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
        pooler = self.site.pooler
        if pooler is not None and not pooler.is_running():
            pooler.start()
        self.round.restore()
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
