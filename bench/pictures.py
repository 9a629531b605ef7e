"""Draw the results as SVG and PNG. Only this module imports Matplotlib."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from bench.outcome import Case, Median, Outcome
from bench.scenarios.throughput import CEILING

_CEILING, _TRACKER, _SECOND, _PEER = "#9aa5b1", "#1f6feb", "#d9730d", "#8250df"
_PARTS = {
    "contender": ("processes", "#1f6feb"),
    "broker": ("broker", "#d9730d"),
    "postgresql": ("PostgreSQL", "#2a9d5c"),
}
_STAGES = ("#1f6feb", "#2a9d5c", "#d9730d", "#8250df", "#cf222e", "#6e7781", "#bf8700", "#57606a")

mpl.rcParams.update(
    {
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
        "font.size": 9,
        "legend.frameon": False,
        "svg.fonttype": "none",  # text stays text
        "svg.hashsalt": "bench",  # the same picture is the same file
    }
)


def draw(outcomes: Mapping[str, Outcome], path: Path) -> list[Path]:
    """Draw the pictures of these outcomes beside the file at `path`; return their paths."""
    written = []
    for name, picture in _PICTURES.items():
        figure = picture(outcomes)
        if figure is None:
            continue
        for ending in ("svg", "png"):
            target = path.with_name(f"{path.stem}-{name}.{ending}")
            metadata = {"Date": None} if ending == "svg" else None
            figure.savefig(target, bbox_inches="tight", dpi=144, metadata=metadata)
            written.append(target)
    return written


def _beside_ceiling(outcomes: Mapping[str, Outcome]) -> list[tuple[str, Case, Case]]:
    """Return (name, ceiling, tracker) for each case of the tracker that has a ceiling beside it."""
    return [
        (name if case.name == "tracker" else f"{name}, {case.name}", outcome.case(CEILING), case)
        for name, outcome in outcomes.items()
        if name != "peers" and any(case.name == CEILING for case in outcome.cases)
        for case in outcome.cases
        if case.name != CEILING
    ]


def throughput(outcomes: Mapping[str, Outcome]) -> Figure | None:
    """Draw messages a second by scenario beside the ceiling; reports of events have their own axes."""
    found = _beside_ceiling(outcomes)
    if not found:
        return None
    reports = [each for each in found if each[0].startswith("events")]
    messages = [each for each in found if each not in reports]
    parts = {"Messages a second": messages, "Reports a second, 100 a message": reports}
    parts = {title: rows for title, rows in parts.items() if rows}
    figure = Figure(figsize=(8, 0.9 * len(parts) + 0.6 * len(found)), layout="constrained")
    heights = [len(rows) + 0.7 for rows in parts.values()]
    grid = figure.subplots(len(parts), 1, squeeze=False, height_ratios=heights)
    for axes, (title, rows) in zip(grid[:, 0], parts.items(), strict=True):
        _pairs_of_bars(axes, rows)
        axes.set_title(f"{title}, exactly once; grey: the ceiling")
    return figure


def _pairs_of_bars(axes: Axes, rows: Sequence[tuple[str, Case, Case]]) -> None:
    for row, (_, ceiling, tracker) in enumerate(rows):
        for shift, case, colour in ((0.2, ceiling, _CEILING), (-0.2, tracker, _TRACKER)):
            median = case["rate"].median
            axes.barh(row + shift, median.value, 0.38, color=colour, xerr=_error(median), ecolor="#444")
        axes.annotate(
            f"{tracker['ratio'].median.value:.2f} of the ceiling",
            (tracker["rate"].median.most, row - 0.2),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=_TRACKER,
        )
    _label_bars(axes, [name for name, _, _ in rows])
    axes.xaxis.set_major_formatter(EngFormatter())


def cpu(outcomes: Mapping[str, Outcome]) -> Figure | None:
    """Draw the CPU time for each message, by part."""
    rows = []
    for name, ceiling, tracker in _beside_ceiling(outcomes):
        if "events" not in name:  # it counts reports, a hundred in a message
            rows += [(f"{name}: tracker", tracker), (f"{name}: ceiling", ceiling)]
    rows = [(name, case) for name, case in rows if case.get("cpu_us_broker") is not None]
    if not rows:
        return None
    figure, axes = _bars(len(rows), height=0.32)
    _bars_by_part(axes, rows)
    return figure


def peers(outcomes: Mapping[str, Outcome]) -> Figure | None:
    """Draw messages a second, and the CPU time for each, of other software beside ceiling and tracker."""
    if "peers" not in outcomes:
        return None
    cases = outcomes["peers"].cases
    figure = Figure(figsize=(8, 1.6 + 0.7 * len(cases)), layout="constrained")
    rates, costs = figure.subplots(2, 1)
    for row, case in enumerate(cases):
        median = case["rate"].median
        colour = {CEILING: _CEILING, "tracker": _TRACKER}.get(case.name, _PEER)
        rates.barh(row, median.value, 0.7, color=colour, xerr=_error(median), ecolor="#444")
    _label_bars(rates, [case.name for case in cases])
    rates.xaxis.set_major_formatter(EngFormatter())
    rates.set_title("Messages a second, exactly once; the tracker does more than its peers")
    _bars_by_part(costs, [(case.name, case) for case in cases])
    return figure


def _bars_by_part(axes: Axes, rows: Sequence[tuple[str, Case]]) -> None:
    for part, (label, colour) in _PARTS.items():
        widths = [case[f"cpu_us_{part}"].median.value for _, case in rows]
        starts = [
            sum(case[f"cpu_us_{other}"].median.value for other in list(_PARTS)[: list(_PARTS).index(part)])
            for _, case in rows
        ]
        axes.barh(range(len(rows)), widths, 0.7, left=starts, color=colour, label=label)
    _label_bars(axes, [name for name, _ in rows])
    axes.set_title("CPU time for each message, µs")
    axes.legend(loc="best")


def stages(outcomes: Mapping[str, Outcome]) -> Figure | None:
    """Draw the time that the tracker's workers spent in each stage."""
    rows = []
    for name, outcome in outcomes.items():
        for case in outcome.cases:
            raw = outcome.raw.get(case.name) if isinstance(outcome.raw, dict) else None
            last = raw[-1] if isinstance(raw, list) and raw else {}
            if last.get("stage_seconds"):
                label = name if case.name == "tracker" else f"{name}, {case.name}"
                spent = last["stage_seconds"].items()
                rows.append((label, {stage: seconds / last["seconds"] for stage, seconds in spent}))
    if not rows:
        return None
    figure, axes = _bars(len(rows), height=0.4)
    starts = [0.0] * len(rows)
    for stage, colour in zip(list(dict.fromkeys(s for _, row in rows for s in row)), _STAGES, strict=False):
        widths = [row.get(stage, 0.0) for _, row in rows]
        axes.barh(range(len(rows)), widths, 0.7, left=starts, color=colour, label=stage)
        starts = [start + width for start, width in zip(starts, widths, strict=True)]
    _label_bars(axes, [name for name, _ in rows])
    axes.set_title("Busy workers by stage; stages overlap, so that a worker can be busy three times")
    axes.legend(ncols=6, loc="upper center", bbox_to_anchor=(0.5, -0.08))
    return figure


def siblings(outcomes: Mapping[str, Outcome]) -> Figure | None:
    """Draw the cost of a completion by the number of siblings."""
    if "fan-in" not in outcomes:
        return None
    cases = outcomes["fan-in"].cases
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.subplots()
    for key, label, colour in (
        ("us", "whole", _TRACKER),
        ("start_us", "first fifth", _CEILING),
        ("end_us", "last fifth", _SECOND),
    ):
        _line(axes, cases, key, label, colour)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("siblings")
    axes.set_title("What a completion costs in database and fold, µs")
    axes.legend()
    return figure


def latency(outcomes: Mapping[str, Outcome]) -> Figure | None:
    """Draw latency by load."""
    if "latency" not in outcomes:
        return None
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.subplots()
    for contender, colour in ((CEILING, _CEILING), ("tracker", _TRACKER)):
        cases = [case for case in outcomes["latency"].cases if case.name.startswith(contender)]
        for key, style in (("p50_ms", "-"), ("p99_ms", "--")):
            _line(axes, cases, key, f"{contender}, {key[:3]}", colour, style)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(EngFormatter())
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.set_xlabel("messages a second")
    axes.set_title("From when a message is due until it is visible, ms")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def tuning(outcomes: Mapping[str, Outcome]) -> Figure | None:
    """Draw speed and latency over batch size, wait and workers."""
    if "tuning" not in outcomes:
        return None
    outcome = outcomes["tuning"]
    points = list(zip(outcome.raw, outcome.cases, strict=True))
    workers = sorted({point["workers"] for point, _ in points})
    sizes = sorted({point["batch_size"] for point, _ in points})
    waits = sorted({point["wait_ms"] for point, _ in points})
    keys = {"rate": "messages/s", "p50_ms": "p50 ms", "p99_ms": "p99 ms"}
    figure = Figure(figsize=(3.6 * len(keys), 2.8 * len(workers)), layout="constrained")
    grid = figure.subplots(len(workers), len(keys), squeeze=False)
    for row, count in enumerate(workers):
        for column, (key, label) in enumerate(keys.items()):
            values = [[float("nan")] * len(waits) for _ in sizes]
            for point, case in points:
                if point["workers"] == count:
                    size, wait = sizes.index(point["batch_size"]), waits.index(point["wait_ms"])
                    values[size][wait] = case[key].median.value
            _heat_map(grid[row][column], values, better_is_more=key == "rate")
            axes = grid[row][column]
            axes.set_xticks(range(len(waits)), [f"{wait} ms" for wait in waits])
            axes.set_yticks(range(len(sizes)), [f"{size:,}" for size in sizes])
            axes.set_title(f"{label}, {count} worker{'s' if count > 1 else ''}")
    return figure


def _heat_map(axes: Axes, values: Sequence[Sequence[float]], *, better_is_more: bool) -> None:
    axes.imshow(values, cmap="Blues" if better_is_more else "Blues_r", aspect="auto")
    flat = sorted(value for row in values for value in row)
    midpoint = (flat[0] + flat[-1]) / 2
    for row, of_row in enumerate(values):
        for column, value in enumerate(of_row):
            dark = value > midpoint if better_is_more else value < midpoint
            text = f"{value / 1000:,.0f}k" if value >= 10_000 else f"{value:,.0f}"
            axes.text(column, row, text, ha="center", va="center", color="white" if dark else "black")


def scale(outcomes: Mapping[str, Outcome]) -> Figure | None:
    """Draw speed by workers, Kafka partitions, and finished jobs."""
    if "scale" not in outcomes:
        return None
    cases: dict[str, list[Case]] = {}
    for case in outcomes["scale"].cases:
        cases.setdefault(case.name.partition(":")[0], []).append(case)
    figure = Figure(figsize=(3.4 * len(cases), 3.2), layout="constrained")
    for axes, (what, of_what) in zip(
        figure.subplots(1, len(cases), squeeze=False)[0], cases.items(), strict=True
    ):
        if of_what[0].get("ceiling_rate") is not None:
            _line(axes, of_what, "ceiling_rate", "ceiling", _CEILING)
        _line(axes, of_what, "rate", "tracker", _TRACKER)
        axes.set_xscale("log", base=10 if what == "finished jobs" else 2)
        axes.set_xticks([case.at or 0 for case in of_what], [f"{case.at:,.0f}" for case in of_what])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(EngFormatter())
        axes.set_xlabel(what)
        axes.legend()
    figure.suptitle("Messages a second", x=0.01, ha="left")
    return figure


def soak(outcomes: Mapping[str, Outcome]) -> Figure | None:
    """Draw a long run over time."""
    if "soak" not in outcomes:
        return None
    samples: list[dict[str, Any]] = outcomes["soak"].raw["samples"]
    minutes = [sample["at_s"] / 60 for sample in samples]

    def tables(column: int) -> list[float]:
        return [sum(table[column] for table in sample["tables"].values()) for sample in samples]

    panels: list[tuple[str, dict[str, list[float]]]] = [
        ("latency, ms", {key[:3]: [s[key] or float("nan") for s in samples] for key in ("p50_ms", "p99_ms")}),
        ("memory of the largest process, MB", {"": [s["most_memory_mb"] for s in samples]}),
        ("tables, MB", {"": [size / 1e6 for size in tables(0)]}),
        ("rows", {"live": tables(1), "dead": tables(2)}),
    ]
    figure = Figure(figsize=(7, 7.5), layout="constrained")
    for axes, (title, lines) in zip(figure.subplots(len(panels), 1, sharex=True), panels, strict=True):
        for (label, values), colour in zip(lines.items(), (_TRACKER, _SECOND), strict=False):
            axes.plot(minutes, values, color=colour, label=label)
        axes.set_ylim(bottom=0)
        axes.set_title(title)
        if len(lines) > 1:
            axes.legend(loc="upper left")
    axes.set_xlabel("minutes")
    return figure


_PICTURES: dict[str, Callable[[Mapping[str, Outcome]], Figure | None]] = {
    "throughput": throughput,
    "cpu": cpu,
    "peers": peers,
    "stages": stages,
    "siblings": siblings,
    "latency": latency,
    "tuning": tuning,
    "scale": scale,
    "soak": soak,
}


def _bars(count: int, height: float = 0.6) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, 1.2 + height * count), layout="constrained")
    return figure, figure.subplots()


def _label_bars(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(right=axes.get_xlim()[1] * 1.12)  # room for the text beside the longest bar


def _line(axes: Axes, cases: Sequence[Case], key: str, label: str, colour: str, style: str = "-") -> None:
    medians = [case[key].median for case in cases]
    errors = [[m.value - m.least for m in medians], [m.most - m.value for m in medians]]
    axes.errorbar(
        [case.at or 0 for case in cases],
        [median.value for median in medians],
        yerr=errors,
        marker="o",
        markersize=4,
        capsize=2,
        color=colour,
        linestyle=style,
        label=label,
    )


def _error(median: Median) -> list[list[float]]:
    return [[median.value - median.least], [median.most - median.value]]
