"""Repeats a scenario, ceiling and tracker in turn, so that noise hits both alike."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from bench.ceiling import ceiling
from bench.drain import Figures, drain
from bench.errors import BenchError
from bench.scenarios import Scenario
from bench.servers import Servers, ends
from bench.tracked import tracked, tracker_environment
from bench.verify import verify_count, verify_jobs, verify_messages
from bench.workload import Topics, Workload
from tracker import Client
from tracker.stack.lifetime import Watchdog, wait_until

WARM_UP_MESSAGES = 2_000
BROKER_WARM_UP_MESSAGES = 100_000
_STARTS_TIMEOUT_S = 60.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """How to measure. `batch_size` is the ceiling's, the same as the tracker's."""

    rounds: int
    messages: int
    workers: int
    seed: int
    batch_size: int


@dataclass(frozen=True)
class Round:
    """Both contenders, one after the other."""

    ceiling: Figures
    tracker: Figures

    @property
    def ratio(self) -> float:
        """The tracker's speed, where the ceiling's is 1."""
        return self.tracker.rate / self.ceiling.rate


class Rounds:
    """Measures scenarios on the same servers. Each measurement has topics and a database of its own."""

    def __init__(self, servers: Servers, watchdog: Watchdog, options: Options, say: Say) -> None:
        self._servers = servers
        self._watchdog = watchdog
        self._options = options
        self._say = say
        self._measurements = 0

    def warm_up(self, scenario: Scenario) -> None:
        """Let the broker compile its code: its first seconds are slow, whoever is measured in them."""
        self._ceiling(scenario, min(BROKER_WARM_UP_MESSAGES, self._options.messages))

    def run(self, scenario: Scenario) -> list[Round]:
        """Measure the scenario as often as asked; who is first changes from round to round.

        :raises WrongResult: what came out is wrong.
        """
        return [self._round(scenario, number) for number in range(1, self._options.rounds + 1)]

    def _round(self, scenario: Scenario, number: int) -> Round:
        figures: dict[str, Figures] = {}
        turn = [("ceiling", self._ceiling), ("tracker", self._tracker)]
        for name, measure in turn if number % 2 else reversed(turn):
            self._say(f"{scenario.name}, round {number} of {self._options.rounds}: {name}")
            figures[name] = measure(scenario, self._options.messages)
            self._say(f"  {figures[name].rate:,.0f} messages/s")
        return Round(figures["ceiling"], figures["tracker"])

    def _ceiling(self, scenario: Scenario, messages: int) -> Figures:
        servers, options = self._servers, self._options
        topics, warm_up, workload = self._workloads(scenario, messages)
        with (
            servers.topics([topics.tracking, topics.destination]),
            ceiling(
                servers.bootstrap_servers,
                topics,
                processes=options.workers,
                batch_size=options.batch_size,
                watchdog=self._watchdog,
            ) as contender,
        ):
            figures, first = drain(servers, contender, topics, warm_up, workload)
            verify_messages(
                servers.bootstrap_servers, topics.destination, first, workload.size, workload.sent
            )
        return figures

    def _tracker(self, scenario: Scenario, messages: int) -> Figures:
        servers = self._servers
        topics, warm_up, workload = self._workloads(scenario, messages)
        database = topics.tracking
        with (
            servers.topics([topics.tracking, topics.destination], [topics.start, topics.dead_letters]),
            servers.database(database) as database_url,
        ):
            jobs = [*warm_up.jobs(), *workload.jobs()]
            with Client(database_url) as client:
                client.submit(jobs)
            variables = tracker_environment(
                os.environ, topics, servers.bootstrap_servers, database_url, self._options.workers
            )
            with tracked(variables, database, self._watchdog) as contender:
                self._wait_for_starts(topics, len(jobs), contender.check)
                figures, first = drain(servers, contender, topics, warm_up, workload)
            where = servers.bootstrap_servers
            verify_messages(where, topics.destination, first, workload.size, workload.forwarded)
            verify_count(where, topics.start, len(jobs))
            verify_count(where, topics.dead_letters, 0)
            verify_jobs(database_url, workload)
        return figures

    def _wait_for_starts(self, topics: Topics, jobs: int, check: Callable[[], None]) -> None:
        """Wait until the tracker has sent the message that starts each job."""

        def sent() -> bool:
            check()
            return sum(ends(self._servers.admin, topics.start, committed=True, partitions=1).values()) >= jobs

        if not wait_until(sent, _STARTS_TIMEOUT_S):
            raise BenchError("the tracker has not started the jobs in time")

    def _workloads(self, scenario: Scenario, messages: int) -> tuple[Topics, Workload, Workload]:
        self._measurements += 1
        topics = Topics.of(f"bench-{self._measurements:04d}")
        seed = self._options.seed
        warm_up = scenario.workload(topics, WARM_UP_MESSAGES, seed, prefix="warm")
        return topics, warm_up, scenario.workload(topics, messages, seed)
