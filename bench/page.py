"""A page in Markdown of what runs have found: the goals, the pictures, and all figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.outcome import Outcome
from bench.report import outcomes_of, read
from bench.tables import reached, shown, table

_HEAD = """\
# Results

<!-- Made by `python -m bench page {files}`; measure again, and do not change it. -->

What the benchmark has found; [benchmarks.md](../benchmarks.md) says how to read it, and
[performance.md](../performance.md) why what was missed was missed. Each figure is the median of the rounds;
behind it is how far the farthest round is from it.
"""


def page(files: Sequence[Path]) -> str:
    """Return the page of these JSON files, which are to lie in the folder where the page will be.

    :raises BenchError: one of them is not a file of this benchmark.
    """
    parts = [_HEAD.format(files=" ".join(path.name for path in files))]
    for path in files:
        content = read(path)
        outcomes = outcomes_of(content)
        parts += [f"## {path.stem}", _about(content), *_goals(outcomes), *_pictures(path)]
        parts += [_figures(name, outcome) for name, outcome in outcomes.items()]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _about(content: Mapping[str, Any]) -> str:
    hardware, versions, options = content["hardware"], content["versions"], content["options"]
    names = ", ".join(f"{name} {version}" for name, version in versions.items())
    commit = (content["commit"] or "not known")[:10]
    return (
        f"{content['time'][:10]}, commit {commit}, seed {content['seed']}, rounds: {options['rounds']},"
        f" messages: {options['messages']:,}. {hardware['cpu']}, {hardware['cpus']} CPUs. {names}."
    )


def _goals(outcomes: Mapping[str, Outcome]) -> list[str]:
    rows = [
        f"| `{name}` | {case.name} | {metric.label} | {_goal(metric.better, metric.goal, metric.digits)} |"
        f" {shown(metric)} | {'reached' if reached(metric) else '**missed**'} |"
        for name, outcome in outcomes.items()
        for case in outcome.cases
        for metric in case.metrics
        if metric.goal is not None
    ]
    if not rows:
        return []
    return ["\n".join(["| scenario | of | figure | goal | found | |", "|---|---|---|---|---|---|", *rows])]


def _goal(better: str, goal: float, digits: int) -> str:
    return f"at {'most' if better == 'less' else 'least'} {goal:,.{digits}f}"


def _pictures(path: Path) -> list[str]:
    found = sorted(path.parent.glob(f"{path.stem}-*.svg"))
    return [f"![{each.stem.removeprefix(f'{path.stem}-')}]({each.name})" for each in found]


def _figures(name: str, outcome: Outcome) -> str:
    return f"```text\n{table(name, 'all figures', outcome, judged=False)}```"
