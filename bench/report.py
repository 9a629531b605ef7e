"""The file of a run: everything that it has measured, and its conditions, as JSON."""

import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import confluent_kafka

from bench.errors import BenchError
from bench.outcome import Case, Metric, Outcome
from bench.session import Options
from tracker.settings import Settings, describe
from tracker.settings.model import available_cpus

RESULTS = Path(__file__).parent.parent / "build" / "bench"
SUMMARY_FORMAT = 1
_FORMAT = 3  # changes when a program that reads an older format would fail
_READABLE_FORMATS = (2, _FORMAT)  # in 2, the goal of a metric was its "reach"
_SUMMARY_SUFFIX = ".summary"
_NEWER_OPTIONS = {"against": False}  # which older files lack
_ADDRESSES = ("TRACKER_KAFKA_BOOTSTRAP_SERVERS", "TRACKER_DATABASE_URL", "TRACKER_HTTP_PORT")
_LIBRARIES = ("confluent-kafka", "psycopg", "msgspec", "orjson")


def document(
    options: Options,
    settings: Settings,
    server_versions: Mapping[str, str],
    outcomes: Mapping[str, Outcome],
) -> dict[str, Any]:
    """Return the content of the file."""
    return {
        "format": _FORMAT,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "seed": options.seed,
        "options": asdict(options),
        "settings": settings_by_name(settings),
        "versions": _versions() | dict(server_versions),
        "hardware": _hardware(),
        "scenarios": {name: _written(outcome) for name, outcome in outcomes.items()},
    }


def settings_by_name(settings: Settings) -> dict[str, str]:
    """Return the settings, without addresses; secrets are masked."""
    return {row.name: row.value_masked for row in describe(settings) if row.name not in _ADDRESSES}


def write(content: Mapping[str, Any], directory: Path = RESULTS) -> Path:
    """Write the content into a file named after its time; return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{content['time'].replace(':', '').removesuffix('+0000')}.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path


def read(path: Path, *, raw: bool = False) -> dict[str, Any]:
    """Read the file of a run, or its summary. With `raw`, a summary is refused.

    :raises BenchError: the path names something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise BenchError(f"{path} is not JSON") from None
    found: dict[str, Any] = content if isinstance(content, dict) else {}
    is_summary = found.get("summary_format") == SUMMARY_FORMAT
    if is_summary and raw:
        raise BenchError(f"{path} is a summary; this needs the file that it was made from")
    if not is_summary and found.get("format") not in _READABLE_FORMATS:
        raise BenchError(f"{path} is not a file of this benchmark, or of another version of it")
    for name, default in _NEWER_OPTIONS.items():
        found["options"].setdefault(name, default)
    return found


def run_name(path: Path) -> str:
    """Return the name that the file of a run, its summary and its pictures begin with."""
    return path.stem.removesuffix(_SUMMARY_SUFFIX)


def summary_path(path: Path) -> Path:
    """Return the path of the summary beside the file of a run."""
    return path.with_name(f"{run_name(path)}{_SUMMARY_SUFFIX}.json")


def outcomes_of(content: Mapping[str, Any]) -> dict[str, Outcome]:
    """Return the outcomes that a file holds; those of a summary have no raw figures."""
    return {
        name: Outcome(
            size=written["size"],
            cases=[
                Case(
                    case["name"],
                    [_metric(key, metric) for key, metric in case["metrics"].items()],
                    case["at"],
                )
                for case in written["cases"]
            ],
            notes=tuple(written["notes"]),
            raw=written.get("raw"),
        )
        for name, written in content["scenarios"].items()
    }


def draw_beside(outcomes: Mapping[str, Outcome], path: Path) -> None:
    """Draw the pictures beside the file at `path`, and name them on stderr; or say why there are none."""
    try:
        from bench.pictures import draw
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        print("There are no pictures, because Matplotlib is not installed.", file=sys.stderr)
        return
    drawn = draw(outcomes, path)
    if drawn:
        names = ", ".join(sorted({each.stem.removeprefix(f"{path.stem}-") for each in drawn}))
        print(f"Pictures ({names}) are beside it, as SVG and PNG.", file=sys.stderr)


def _written(outcome: Outcome) -> dict[str, Any]:
    return {
        "size": outcome.size,
        "cases": [
            {
                "name": case.name,
                "at": case.at,
                "metrics": {metric.key: _written_metric(metric) for metric in case.metrics},
            }
            for case in outcome.cases
        ],
        "notes": list(outcome.notes),
        "raw": outcome.raw,
    }


def _written_metric(metric: Metric) -> dict[str, Any]:
    written = asdict(metric)
    del written["key"]
    return written | {"median": metric.median.value}


def _metric(key: str, written: Mapping[str, Any]) -> Metric:
    return Metric(
        key,
        written["label"],
        written["values"],
        written["better"],
        written.get("goal", written.get("reach")),
        written["digits"],
    )


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
