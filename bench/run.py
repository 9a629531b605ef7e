"""A run of the benchmark: start servers, measure scenarios, print tables, write files."""

import argparse
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.drain import drain
from bench.errors import BenchError
from bench.outcome import Outcome
from bench.progress import ProgressDisplay
from bench.report import RESULTS, document, draw_beside, write
from bench.scenarios import SCENARIOS, usual_names
from bench.scenarios.complete import COMPLETE
from bench.servers import Servers
from bench.session import BenchSession, Options
from bench.summary import write_summary
from bench.tables import table
from bench.tracker_process import tracker_settings
from bench.workload import Size
from tracker.settings import Settings, load
from tracker.stack import LocalStack
from tracker.stack.lifetime import Watchdog

_ROUNDS, _QUICK_ROUNDS = 3, 1
_MESSAGES, _QUICK_MESSAGES = 1_000_000, 100_000
_BROKER_WARM_UPS, _BROKER_WARM_UP_MESSAGES = 3, 1_000_000


def measure(parsed: argparse.Namespace) -> int:
    """Measure what the command line asks for, and print and write the results; return the exit status."""
    if not Path("/proc/self/stat").exists():
        raise BenchError("the benchmark reads the cost of processes from /proc, which only Linux has")
    given = load(os.environ) if parsed.against else None
    settings = tracker_settings(os.environ, parsed.workers)
    options = options_of(parsed, settings.batch_size)
    names = parsed.scenarios or usual_names(quick=options.quick)
    scenarios = [SCENARIOS[name] for name in names]
    outcomes: dict[str, Outcome] = {}
    watchdog = Watchdog()
    try:
        steps = 1 + sum(scenario.steps(options) for scenario in scenarios)
        with ProgressDisplay(steps) as progress, _servers(progress, given) as servers:
            session = BenchSession(servers, watchdog, options, progress)
            _warm_up(session)
            for scenario in scenarios:
                outcome = outcomes[scenario.name] = scenario.run(session)
                # One round with few messages gives an impression, no verdict.
                progress.show(table(scenario.name, scenario.description, outcome, judged=not options.quick))
            versions = servers.versions()
    finally:
        watchdog.close()
    content = document(options, settings, versions, outcomes)
    path = write(content, parsed.output or RESULTS)
    summary = write_summary(content, path)
    print(f"All figures are in {path}, and their summary is in {summary}.", file=sys.stderr)
    draw_beside(outcomes, path)
    return 0


def options_of(parsed: argparse.Namespace, batch_size: int) -> Options:
    return Options(
        rounds=parsed.rounds or (_QUICK_ROUNDS if parsed.quick else _ROUNDS),
        messages=parsed.messages or (_QUICK_MESSAGES if parsed.quick else _MESSAGES),
        workers=parsed.workers,
        seed=parsed.seed,
        batch_size=batch_size,
        quick=parsed.quick,
        full=parsed.full,
        minutes=parsed.minutes,
        against=parsed.against,
    )


@contextmanager
def _servers(progress: ProgressDisplay, given: Settings | None) -> Iterator[Servers]:
    """Start a Kafka and a PostgreSQL, or use those that the given settings name."""
    if given is not None:
        # No other names begin with this prefix, not even those of another run at the same time.
        prefix = f"tracker-bench-{secrets.token_hex(3)}"
        yield Servers(given.kafka_client_properties(), given.database_conninfo(), prefix=prefix)
        return
    # Kafka removes old records during long runs; by default, it looks for them only every 5 minutes.
    kafka_settings = {"log.retention.check.interval.ms": "10000"}
    # Java's full compiler, as in production: by default, the stack's brokers have only the quick one, to
    # start quickly.
    java_options = ["-XX:TieredStopAtLevel=4"]
    with LocalStack(
        say=progress.say, kafka_settings=kafka_settings, kafka_java_options=java_options
    ) as stack:
        servers = Servers.of_stack(stack)
        servers.enable_statement_counts()
        yield servers


def _warm_up(session: BenchSession) -> None:
    """Let the broker compile its code, which takes minutes, before a contender is measured.

    After 100,000 messages, the broker still takes twice as much CPU time for each as after some millions.
    """
    with session.progress.step("warming up"):
        for _ in range(_BROKER_WARM_UPS):
            topics = session.topics()
            messages = min(_BROKER_WARM_UP_MESSAGES, session.options.messages)
            workload = COMPLETE.workload(topics, Size(messages))
            with session.ceiling(topics) as contender:
                drain(session.servers, contender, COMPLETE.workload(topics, Size(1_000)), workload)
