"""Tables for people: a column for each case if there are few, otherwise a row."""

from collections.abc import Sequence

from bench.outcome import Case, Metric, Outcome

_MAX_COLUMNS = 4
_MIN_SPREAD = 0.005  # a smaller spread is not shown


def table(name: str, description: str, outcome: Outcome, *, judged: bool = True) -> str:
    """Return the table of a scenario; with `judged`, also which goals were reached and which were missed."""
    keys = list(dict.fromkeys(metric.key for case in outcome.cases for metric in case.metrics))
    rows = [["", *(case.name for case in outcome.cases)]]
    for key in keys:
        found = [case.get(key) for case in outcome.cases]
        label = next(metric.label for metric in found if metric is not None)
        rows.append([label, *("" if metric is None else shown(metric) for metric in found)])
    if len(outcome.cases) > _MAX_COLUMNS:
        rows = [list(column) for column in zip(*rows, strict=True)]
    lines = [f"{name}: {description}", f"  {outcome.size}", *aligned(rows)]
    if judged:
        lines += _reached(outcome.cases)
    lines += [f"  {note}" for note in outcome.notes]
    return "\n".join(lines) + "\n"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines, with the first column aligned to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  "
        + "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def shown(metric: Metric) -> str:
    """Return the median, with the spread if it is not negligible."""
    median = metric.median
    text = f"{median.value:,.{metric.digits}f}"
    if median.spread >= _MIN_SPREAD:
        text += f" ±{median.spread:.0%}"
    return text


def reached(metric: Metric) -> bool:
    """Return whether the median reaches the goal."""
    assert metric.goal is not None
    value = metric.median.value
    return value <= metric.goal if metric.better == "less" else value >= metric.goal


def _reached(cases: Sequence[Case]) -> list[str]:
    """Return a line for each goal."""
    lines = []
    for case in cases:
        for metric in case.metrics:
            if metric.goal is not None:
                least = "at most" if metric.better == "less" else "at least"
                word = "reached" if reached(metric) else "MISSED"
                goal = f"{metric.goal:,.{metric.digits}f}"
                lines.append(f"  {word}: {case.name}, {metric.label} {least} {goal}")
    return lines
