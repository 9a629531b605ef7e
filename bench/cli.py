"""The command line: ``python -m bench``."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import psycopg
from confluent_kafka import KafkaException

from bench.errors import BenchError, WrongResult
from bench.rounds import Options, Rounds
from bench.scenarios import SCENARIOS
from tracker.errors import SettingsError, TrackerError

_QUICK_ROUNDS, _QUICK_MESSAGES = 2, 200_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 0, 1 where something failed or came out wrong, or 2 for wrong usage."""
    try:
        return _bench(_parse(arguments))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except WrongResult as error:
        print(f"FAILED: what came out is wrong: {error}.", file=sys.stderr)
        return 1
    except (TrackerError, OSError, KafkaException, psycopg.Error) as error:
        print(f"FAILED: {_sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _sentence(error: Exception) -> str:
    if isinstance(error, KafkaException):
        return f"Kafka says: {error.args[0].str()}."
    return f"{' '.join(str(error).split()).rstrip('.')}."


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure the tracker on a Kafka and a PostgreSQL that are started for it, beside what "
        "this machine can do at all. TRACKER_ variables are passed on to the tracker.",
        epilog="Scenarios: " + "; ".join(f"{each.name} ({each.what})" for each in SCENARIOS.values()) + ".",
    )
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help="which ones; all where none is named"
    )
    parser.add_argument("--rounds", type=_positive, help="how often each is repeated (3)")
    parser.add_argument("--messages", type=_positive, help="messages in each measurement (1000000)")
    parser.add_argument("--workers", type=_positive, default=2, help="worker processes (2)")
    parser.add_argument("--quick", action="store_true", help="2 rounds of 200000 messages")
    parser.add_argument("--seed", type=int, default=1, help="of what is random in the messages (1)")
    parser.add_argument("--output", type=Path, help="folder for the JSON file (bench/results)")
    parsed = parser.parse_args(arguments)
    unknown = [name for name in parsed.scenarios if name not in SCENARIOS]
    if unknown:
        parser.error(f"there is no scenario {unknown[0]!r}; there are {', '.join(SCENARIOS)}")
    return parsed


def _positive(text: str) -> int:
    try:
        number = int(text.replace("_", "").replace(",", ""))
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number


def _bench(parsed: argparse.Namespace) -> int:
    # Loaded here, so that --help and wrong usage are answered at once.
    from bench.report import RESULTS, document, table, write
    from bench.servers import Servers
    from bench.summary import summarize
    from bench.tracked import own_settings
    from tracker.settings.model import available_cpus
    from tracker.stack import LocalStack
    from tracker.stack.lifetime import Watchdog

    if not Path("/proc/self/stat").exists():
        raise BenchError("the benchmark reads what processes cost from /proc, which only Linux has")
    settings = own_settings(os.environ, parsed.workers)
    options = Options(
        rounds=parsed.rounds or (_QUICK_ROUNDS if parsed.quick else 3),
        messages=parsed.messages or (_QUICK_MESSAGES if parsed.quick else 1_000_000),
        workers=parsed.workers,
        seed=parsed.seed,
        batch_size=settings.batch_size,
    )
    scenarios = [SCENARIOS[name] for name in parsed.scenarios] or list(SCENARIOS.values())
    measured = {}
    watchdog = Watchdog()
    try:
        with LocalStack(say=_say) as stack:
            servers = Servers(stack)
            servers.count_statements()
            rounds = Rounds(servers, watchdog, options, _say)
            _say("warming up")
            rounds.warm_up(scenarios[0])
            for scenario in scenarios:
                results = rounds.run(scenario)
                summary = summarize(results, available_cpus())
                measured[scenario.name] = results, summary
                print(table(scenario, options, results, summary), flush=True)
            versions = servers.versions()
    finally:
        watchdog.close()
    path = write(document(options, settings, versions, measured), parsed.output or RESULTS)
    _say(f"All of it is in {path}.")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
