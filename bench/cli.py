"""The command line: ``python -m bench``."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import psycopg
from confluent_kafka import KafkaException

from bench.errors import WrongResult
from tracker.errors import SettingsError, TrackerError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 0, 1 after a failure or a wrong result, or 2 after wrong usage."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        return _dispatch(list(arguments))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except WrongResult as error:
        print(f"FAILED: the result is wrong: {error}.", file=sys.stderr)
        return 1
    except (TrackerError, OSError, KafkaException, psycopg.Error) as error:
        print(f"FAILED: {_sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; all that was created for the run has been removed.", file=sys.stderr)
        return 130


def _sentence(error: Exception) -> str:
    if isinstance(error, KafkaException):
        return f"Kafka reports: {error.args[0].str()}."
    return f"{' '.join(str(error).split()).rstrip('.')}."


def _dispatch(arguments: list[str]) -> int:
    match arguments:
        case ["compare", *files]:
            return _compare(files)
        case ["draw", *files]:
            return _draw(files)
        case ["native", *options]:
            return _native(options)
        case ["page", *files]:
            return _page(files)
        case ["summarize", *files]:
            return _summarize(files)
    parsed = _parse(arguments)
    from bench.run import measure  # slow to import, so wrong usage is refused before

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    return measure(parsed)


def _interrupt(number: int, _frame: object) -> None:
    """Begin to clean up, once: a second Ctrl-C would interrupt that too, and leave topics and databases."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    print("Stopping and cleaning up ...", file=sys.stderr, flush=True)
    raise KeyboardInterrupt


def _compare(files: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench compare",
        description="Show which figures of two runs improved or worsened beyond the noise. Without files,"
        " count what fixed batches cost, and compare that with the committed figures; the status is 1 if"
        " they differ.",
    )
    parser.add_argument(
        "files", type=Path, nargs="*", metavar="FILE", help="file or summary of a run, and of a later one"
    )
    parser.add_argument("--write", action="store_true", help="write what is counted as the committed figures")
    parsed = parser.parse_args(files)
    if len(parsed.files) not in (0, 2) or (parsed.files and parsed.write):
        parser.error("give two files, or none; --write goes with none")
    if not parsed.files:
        return _compare_counted(write=parsed.write)
    from bench.compare import compare
    from bench.report import read

    before, after = parsed.files
    print(compare(read(before), read(after)))
    return 0


def _compare_counted(*, write: bool) -> int:
    from bench.counted.committed import comparisons, notes, read_committed, table, verdict, write_committed
    from bench.counted.run import count_here

    counted, committed = count_here(), read_committed()
    compared = comparisons(committed, counted)
    print("\n".join([table(compared), *notes(committed, counted)]))
    if write:
        write_committed(counted)
        return 0
    found = verdict(compared)
    print(found or "No figure differs from the committed one by more than 5 %.")
    return 1 if found else 0


def _draw(files: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench draw", description="Draw the pictures of runs again, beside their files."
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="JSON file of a run")
    parsed = parser.parse_args(files)
    from bench.report import draw_beside, outcomes_of, read

    for path in parsed.files:
        draw_beside(outcomes_of(read(path, raw=True)), path)
    return 0


def _native(options: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench native",
        description="Build the compiled step, an experiment in Rust that is not part of the tracker, and"
        " compare it with the Python of today: what decoding a message costs, and whether both make the same"
        " of generated messages.",
    )
    parser.add_argument("--rounds", type=_positive, default=5, help="rounds of each measurement (5)")
    parser.add_argument("--messages", type=_positive, default=1_000_000, help="generated messages (1000000)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the generated messages (1)")
    parsed = parser.parse_args(options)
    from bench.native.build import load
    from bench.native.comparison import compare, measure
    from bench.tables import table

    step = load(_say)
    print(table("native", "decoding in Python, and with the compiled step", measure(step, parsed.rounds)))
    print(f"{compare(step, parsed.messages, parsed.seed, _say)}.")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _page(files: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench page", description="Print a page in Markdown with the results of runs."
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="file or summary of a run")
    parsed = parser.parse_args(files)
    from bench.page import page

    print(page(parsed.files), end="")
    return 0


def _summarize(files: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench summarize", description="Write the summaries of runs beside their files."
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="JSON file of a run")
    parsed = parser.parse_args(files)
    from bench.report import read
    from bench.summary import write_summary

    for path in parsed.files:
        print(write_summary(read(path, raw=True), path))
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    from bench.scenarios import SCENARIOS

    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure the tracker on a Kafka and a PostgreSQL that are started for the run, beside the"
        " ceiling: what this machine can do at all. TRACKER_ variables are passed on to the tracker.",
        epilog="Also: python -m bench compare BEFORE.json AFTER.json; python -m bench compare;"
        " python -m bench draw FILE.json; python -m bench native;"
        " python -m bench page FILE.json; python -m bench summarize FILE.json."
        " Scenarios: " + "; ".join(f"{each.name} ({each.description})" for each in SCENARIOS.values()) + ".",
    )
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help="what to measure; without it, the usual scenarios"
    )
    parser.add_argument(
        "--against",
        action="store_true",
        help="measure on the Kafka and PostgreSQL that TRACKER_KAFKA_... and TRACKER_DATABASE_URL name; the"
        " run creates topics and databases of its own there, and removes them",
    )
    parser.add_argument("--quick", action="store_true", help="one round with fewer messages: about 2 minutes")
    parser.add_argument(
        "--full", action="store_true", help="also measure the largest sizes, which takes long"
    )
    parser.add_argument("--rounds", type=_positive, help="rounds of each measurement (3; quick: 1)")
    parser.add_argument(
        "--messages", type=_positive, help="messages in each measurement (1000000; quick: 100000)"
    )
    parser.add_argument("--workers", type=_positive, default=2, help="worker processes (2)")
    parser.add_argument("--minutes", type=_positive_minutes, default=10.0, help="length of soak (10)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random parts of messages (1)")
    parser.add_argument("--output", type=Path, help="folder for the files of the run (build/bench)")
    parsed = parser.parse_args(arguments)
    unknown = [name for name in parsed.scenarios if name not in SCENARIOS]
    if unknown:
        parser.error(f"there is no scenario {unknown[0]!r}; there are {', '.join(SCENARIOS)}")
    return parsed


def _positive_minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes")
    return minutes


def _positive(text: str) -> int:
    try:
        number = int(text.replace("_", "").replace(",", ""))
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number
