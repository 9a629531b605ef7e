"""The summary of a run, which is small enough to be kept beside the documents that quote it.

It has the conditions of the run, the command that repeats it, and each figure with its value in every round.
It has none of the raw figures: timelines, samples, and the longest statements. `page` and `compare` read it
as they read the file of the run.
"""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.outcome import Case, Metric, Outcome
from bench.report import SUMMARY_FORMAT, outcomes_of, settings_by_name, summary_path
from bench.scenarios import usual_names
from bench.session import Options
from bench.tracker_process import tracker_settings

_CONDITIONS = ("time", "commit", "seed", "options", "settings", "versions", "hardware")
_LINE_LENGTH = 200
_SIGNIFICANT_DIGITS = 8  # one more than the tables show of the largest figures


def summary(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the summary of a run from the content of its file."""
    return {
        "summary_format": SUMMARY_FORMAT,
        "command": command(content),
        **{name: content[name] for name in _CONDITIONS},
        "scenarios": {name: _scenario(outcome) for name, outcome in outcomes_of(content).items()},
    }


def write_summary(content: Mapping[str, Any], path: Path) -> Path:
    """Write the summary beside the file of the run at `path`, a figure on a line; return its path."""
    target = summary_path(path)
    target.write_text(_json(summary(content)) + "\n", encoding="utf-8")
    return target


def command(content: Mapping[str, Any]) -> str:
    """Return the shell command that repeats the run.

    It sets the variables that differ from the defaults. A secret is masked, and the addresses of given
    servers are left out.
    """
    if "command" in content:  # a summary's: the defaults may have changed meanwhile
        return str(content["command"])
    options = Options(**content["options"])
    defaults = settings_by_name(tracker_settings({}, options.workers))
    variables = [
        f"{name}={shlex.quote(value)}"
        for name, value in content["settings"].items()
        if value != defaults.get(name, "")
    ]
    scenarios = list(content["scenarios"])
    words = [] if scenarios == usual_names(quick=options.quick) else scenarios
    words += [f"--{name}" for name in ("against", "quick", "full") if getattr(options, name)]
    for name in ("rounds", "messages", "workers", "seed"):
        words += [f"--{name}", str(getattr(options, name))]
    if "soak" in scenarios:
        words += ["--minutes", f"{options.minutes:g}"]
    return " ".join([*variables, "python -m bench", *words])


def _scenario(outcome: Outcome) -> dict[str, Any]:
    return {
        "size": outcome.size,
        "notes": list(outcome.notes),
        "cases": [_case(case) for case in outcome.cases],
    }


def _case(case: Case) -> dict[str, Any]:
    return {
        "name": case.name,
        "at": case.at,
        "metrics": {metric.key: _metric(metric) for metric in case.metrics},
    }


def _metric(metric: Metric) -> dict[str, Any]:
    return {
        "label": metric.label,
        "median": _rounded(metric.median.value),
        "spread": round(metric.median.spread, 4),
        "values": [_rounded(value) for value in metric.values],
        "better": metric.better,
        "digits": metric.digits,
    } | ({} if metric.goal is None else {"goal": metric.goal})


def _rounded(value: float) -> float:
    return float(f"{value:.{_SIGNIFICANT_DIGITS}g}")


def _json(value: Any, indent: str = "") -> str:
    """Return JSON in which a list or an object has one line where it fits, else a line for each item."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or len(indent) + len(line) <= _LINE_LENGTH:
        return line
    deeper = indent + " "
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {_json(item, deeper)}" for key, item in value.items()]
    else:
        items = [_json(item, deeper) for item in value]
    inner = ",\n".join(deeper + item for item in items)
    return f"{line[0]}\n{inner}\n{indent}{line[-1]}"
