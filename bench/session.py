"""What scenarios measure with: the servers and options of a run, and the contenders."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench.ceiling import run_ceiling
from bench.ceiling_settings import SEVERAL_PARTITIONS, CeilingSettings
from bench.contenders import Contender
from bench.errors import BenchError
from bench.peers.running import PeerProgram, run_peer
from bench.progress import ProgressDisplay
from bench.servers import Servers, end_offsets
from bench.tracker_process import run_tracker, tracker_environment
from bench.workload import KAFKA_PARTITIONS, Topics
from tracker import Client, NewJob
from tracker.stack.lifetime import Watchdog, wait_until

WARM_UP_MESSAGES = 2_000
_STARTS_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Options:
    """How to measure. `batch_size` is that of the tracker, and so of the ceiling."""

    rounds: int
    messages: int
    workers: int
    seed: int
    batch_size: int
    quick: bool = False
    full: bool = False  # also the sizes that take long
    minutes: float = 2.0  # the length of `soak`
    against: bool = False  # on servers that were given, not started for the run


class BenchSession:
    """What scenarios measure with. Each contender has its own topics, and the tracker its own database."""

    def __init__(
        self,
        servers: Servers,
        watchdog: Watchdog,
        options: Options,
        progress: ProgressDisplay,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.servers = servers
        self.options = options
        self.progress = progress
        self._watchdog = watchdog
        self._environ = os.environ if environ is None else environ
        self._measurements = 0

    def turns(self, scenario: str, cases: Sequence[str]) -> Iterator[str]:
        """Yield each case once in each round. The caller measures it before it asks for the next one.

        Every second round goes backwards, so that noise affects all cases.
        """
        for number in range(self.options.rounds):
            for case in cases if number % 2 == 0 else cases[::-1]:
                text = f"{scenario}, round {number + 1} of {self.options.rounds}: {case}"
                with self.progress.step(text):
                    yield case

    def topics(self, kafka_partitions: int = KAFKA_PARTITIONS) -> Topics:
        """Return new names of topics."""
        self._measurements += 1
        return Topics.of(f"{self.servers.prefix}-{self._measurements:04d}", kafka_partitions)

    @contextmanager
    def ceiling(
        self,
        topics: Topics,
        *,
        processes: int | None = None,
        eager: bool = False,
        settings: CeilingSettings = SEVERAL_PARTITIONS,
    ) -> Iterator[Contender]:
        """Create the topics and run the ceiling on them."""
        with (
            self.servers.topics(topics),
            run_ceiling(
                self.servers.clients,
                topics,
                processes=processes or self.options.workers,
                batch_size=self.options.batch_size,
                eager=eager,
                watchdog=self._watchdog,
                settings=settings,
            ) as contender,
        ):
            yield contender

    @contextmanager
    def peer(self, topics: Topics, program: PeerProgram) -> Iterator[Contender]:
        """Create the topics and run a peer on them."""
        with (
            self.servers.topics(topics),
            run_peer(
                program,
                self.servers,
                topics,
                workers=self.options.workers,
                batch_size=self.options.batch_size,
                watchdog=self._watchdog,
            ) as contender,
        ):
            yield contender

    @contextmanager
    def tracker(
        self,
        topics: Topics,
        jobs: Sequence[NewJob],
        *,
        waiting: int = 0,
        workers: int | None = None,
        variables: Mapping[str, str] | None = None,
        before: Callable[[str], None] = lambda _: None,
        topic_config: Mapping[str, str] | None = None,
    ) -> Iterator["RunningTracker"]:
        """Create topics and a database, submit the jobs, and run the tracker on them.

        When this yields, the tracker has started the jobs, except as many as are `waiting` for others.
        `variables` override the user's. `before` is called with the database's URL before the tracker starts.
        """
        with ExitStack() as stack:
            stack.enter_context(self.servers.topics(topics, topic_config or {}))
            database = topics.tracking
            database_url = stack.enter_context(self.servers.database(database))
            before(database_url)
            if jobs:
                with Client(database_url) as client:
                    client.submit(jobs)
            environment = tracker_environment(
                self._environ,
                topics,
                self.servers.bootstrap_servers,
                database_url,
                workers or self.options.workers,
            )
            if not self.servers.started_here:  # they can complete the database's URL
                environment |= {name: text for name, text in self._environ.items() if name.startswith("PG")}
            environment |= variables or {}
            contender = stack.enter_context(run_tracker(environment, database, self._watchdog))
            found = RunningTracker(self.servers, topics, contender, database_url)
            found.wait_for_starts(len(jobs) - waiting)
            yield found


@dataclass(frozen=True)
class RunningTracker:
    """The running tracker, with its topics and its database."""

    servers: Servers
    topics: Topics
    contender: Contender
    database_url: str

    def started(self) -> int:
        """Return how many jobs the tracker has started, if no transaction was aborted."""
        return sum(end_offsets(self.servers.admin, self.topics.start, 1, committed=True).values())

    def wait_for_starts(self, jobs: int) -> None:
        """Wait until the tracker has started this many jobs."""

        def sent() -> bool:
            self.contender.check()
            # Transaction markers have offsets too, so this can return early; `verify` counts the records
            # later.
            return self.started() >= jobs

        if not wait_until(sent, _STARTS_TIMEOUT_S):
            raise BenchError("the tracker has not started the jobs in time")
