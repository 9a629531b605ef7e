"""Tells what was measured: a table for people, and a JSON file with everything."""

import json
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import confluent_kafka

from bench.rounds import Options, Round
from bench.scenarios import Scenario
from bench.summary import DISTURBED, ContenderSummary, Summary
from tracker.settings import Settings, describe
from tracker.settings.model import available_cpus

RESULTS = Path(__file__).parent / "results"
_FORMAT = 1  # of the file; another number where a program that reads it would go wrong
_ADDRESSES = ("TRACKER_KAFKA_BOOTSTRAP_SERVERS", "TRACKER_DATABASE_URL")
_LIBRARIES = ("confluent-kafka", "psycopg", "msgspec", "orjson")


def table(scenario: Scenario, options: Options, rounds: Sequence[Round], summary: Summary) -> str:
    """Return the table of one scenario."""
    messages = rounds[0].tracker.messages
    head = f"{scenario.name}: {scenario.what}"
    size = f"{messages:,} messages, {options.workers} workers, {_times(len(rounds))}; what came out is right"
    rows = [
        ("", "ceiling", "tracker"),
        ("messages/s", *_both(summary, lambda each: f"{each.rate.value:,.0f}")),
        ("  least to most", *_both(summary, lambda each: f"{each.rate.least:,.0f}-{each.rate.most:,.0f}")),
        ("CPU µs/message: processes", *_both(summary, lambda each: f"{each.cpu_us['contender']:.2f}")),
        ("  broker", *_both(summary, lambda each: f"{each.cpu_us['broker']:.2f}")),
        ("  PostgreSQL", *_both(summary, lambda each: f"{each.cpu_us['postgresql']:.2f}")),
        ("  together", *_both(summary, lambda each: f"{each.all_cpu_us:.2f}")),
        ("most memory of a process", *_both(summary, lambda each: f"{each.peak_bytes / 1e6:,.0f} MB")),
        ("WAL bytes/message", "", f"{summary.tracker.wal_bytes_a_message:,.1f}"),
        ("messages/statement", "", _statements(summary.tracker)),
    ]
    ratio = summary.ratio
    lines = [f"  {name:<26}{left:>18}{right:>18}" for name, left, right in rows]
    lines.append(
        f"  ratio to the ceiling: {ratio.value:.2f} ({ratio.least:.2f}-{ratio.most:.2f}); to reach:"
        f" {scenario.reach:.2f}"
    )
    lines.append(f"  CPU time, where the ceiling's is 1: {summary.cpu_factor:.2f}")
    lines += _stages(rounds)
    worst = max(summary.ceiling.others_share, summary.tracker.others_share)
    if worst > DISTURBED:
        lines.append(f"  Disturbed: something else used up to {worst:.0%} of this machine's CPUs meanwhile.")
    return "\n".join([head, f"  {size}", *lines])


def document(
    options: Options,
    settings: Settings,
    server_versions: Mapping[str, str],
    measured: Mapping[str, tuple[Sequence[Round], Summary]],
) -> dict[str, Any]:
    """Return what is written as JSON."""
    return {
        "format": _FORMAT,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "seed": options.seed,
        "options": asdict(options),
        "settings": {row.name: row.value_masked for row in describe(settings) if row.name not in _ADDRESSES},
        "versions": _versions() | dict(server_versions),
        "hardware": _hardware(),
        "scenarios": {
            name: {"summary": asdict(summary), "rounds": [asdict(each) for each in rounds]}
            for name, (rounds, summary) in measured.items()
        },
    }


def write(content: Mapping[str, Any], directory: Path = RESULTS) -> Path:
    """Write the JSON into a file named after its time, and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{content['time'].replace(':', '').removesuffix('+0000')}.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path


def _both(summary: Summary, shown: Callable[[ContenderSummary], str]) -> tuple[str, str]:
    return shown(summary.ceiling), shown(summary.tracker)


def _statements(summary: ContenderSummary) -> str:
    return "not counted" if summary.messages_a_statement is None else f"{summary.messages_a_statement:,.0f}"


def _stages(rounds: Sequence[Round]) -> list[str]:
    """Return a line with the share of time that each stage of the tracker was busy, a worker."""
    shares = {}
    for stage in rounds[0].tracker.stage_seconds:
        shares[stage] = median([each.tracker.stage_seconds[stage] / each.tracker.seconds for each in rounds])
    busy = [f"{stage} {share:.0%}" for stage, share in shares.items() if share >= 0.005]
    return [f"  stages, share of the time in each, all workers: {', '.join(busy)}"] if busy else []


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _versions() -> dict[str, str]:
    libraries = {name: version(name) for name in _LIBRARIES}
    own = {"tracker": version("job-tracker"), "python": platform.python_version()}
    return own | libraries | {"librdkafka": confluent_kafka.libversion()[0]}


def _hardware() -> dict[str, Any]:
    cpuinfo = Path("/proc/cpuinfo").read_text()
    models = [line.split(":", 1)[1].strip() for line in cpuinfo.splitlines() if line.startswith("model name")]
    memory_kb = Path("/proc/meminfo").read_text().split()[1]
    return {
        "cpus": available_cpus(),
        "cpu": models[0] if models else platform.machine(),
        "memory_bytes": int(memory_kb) * 1024,
        "system": platform.platform(),
    }


def _commit() -> str | None:
    """Return the commit of this checkout, with a plus sign where files differ; None outside of git."""
    here = Path(__file__).parent
    try:
        commit, changes = (
            subprocess.run(
                ["git", *command], cwd=here, capture_output=True, text=True, check=True
            ).stdout.strip()
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+" if changes else "")
