"""The committed figures: read, written, and compared with those that are counted now."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.counted.count import Count, Figures
from bench.errors import BenchError
from bench.tables import aligned

COMMITTED = Path(__file__).with_name("committed.toml")
COMMAND = "python -m bench compare --write"
TOLERANCE = 0.05

_DIGITS = 4
_PATH = "bench/counted/committed.toml"
_WAL_NOT_READ = "PostgreSQL's WAL can be read only by a superuser, with the extension pg_walinspect"
_LABELS = {
    "statements": "statements",
    "wal_bytes": "bytes of WAL",
    "calls": "calls",
    "blocks": "blocks of memory",
    "peak_bytes": "bytes of memory at the peak",
}
_OF_POSTGRESQL = ("wal_bytes",)
_OF_PYTHON = ("calls", "blocks", "peak_bytes")
_HEAD = f"""\
# What fixed batches cost. docs/benchmarks.md says what the figures are.
# `{COMMAND}` writes this file.
"""


@dataclass(frozen=True)
class Comparison:
    """A figure, as it is committed and as it is counted now; None: only the other one is there."""

    label: str
    committed: float | None
    counted: float | None

    @property
    def change(self) -> float | None:
        """The change as a share of the committed figure; None: there is no such share."""
        return self.counted / self.committed - 1 if self.committed and self.counted is not None else None

    @property
    def differs(self) -> bool:
        """Whether the figure is more than 5 % above or below the committed one.

        One below must be committed too: otherwise it could rise again unnoticed.
        """
        return self.change is None or abs(self.change) > TOLERANCE

    def __str__(self) -> str:
        change = "" if self.change is None else f" ({_percent(self.change)})"
        return f"{self.label}: {_shown(self.committed)} committed, {_shown(self.counted)} counted{change}"


def read_committed(path: Path = COMMITTED) -> Count:
    """Return the committed figures."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    figures = {name: Figures(**values) for name, values in content["cases"].items()}
    return Count(content["python"], content["postgresql"], figures)


def write_committed(count: Count, path: Path = COMMITTED) -> None:
    """Write these figures as the committed ones, with four digits each.

    :raises BenchError: PostgreSQL's WAL was not counted.
    """
    lines = [_HEAD, f'python = "{count.python}"', f'postgresql = "{count.postgresql}"']
    for name, figures in count.figures.items():
        if figures.wal_bytes is None:
            raise BenchError(f"not all figures are counted: {_WAL_NOT_READ}")
        lines += ["", f"[cases.{name}]", f'unit = "{figures.unit}"']
        lines += [f"{key} = {_rounded(getattr(figures, key))}" for key in _LABELS]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def comparisons(committed: Count, counted: Count) -> list[Comparison]:
    """Compare all figures that do not depend on a version in which the two differ."""
    skipped = [key for keys, _ in _not_comparable(committed, counted) for key in keys]
    names = dict.fromkeys([*committed.figures, *counted.figures])
    return [
        comparison
        for name in names
        for key in _LABELS
        if key not in skipped
        and (comparison := _comparison(name, key, committed.figures.get(name), counted.figures.get(name)))
    ]


def notes(committed: Count, counted: Count) -> list[str]:
    """Return a sentence for each reason why some figures are not compared."""
    return [sentence for _, sentence in _not_comparable(committed, counted)]


def verdict(compared: Sequence[Comparison]) -> str:
    """Return which figures differ from the committed ones, and what to do; an empty text if none does."""
    different = [f"  {each}" for each in compared if each.differs]
    if not different:
        return ""
    return "\n".join(
        [
            f"These counted figures differ from the committed ones by more than {TOLERANCE:.0%}:",
            *different,
            f"If this is intended, run `{COMMAND}`, and commit {_PATH} with the change.",
        ]
    )


def table(compared: Sequence[Comparison]) -> str:
    """Return all figures, with the committed ones beside them."""
    rows = [["", "committed", "counted", "change"]]
    rows += [
        [each.label, _shown(each.committed), _shown(each.counted), _percent(each.change)] for each in compared
    ]
    return "\n".join(aligned(rows))


def _not_comparable(committed: Count, counted: Count) -> list[tuple[Sequence[str], str]]:
    """Return the keys of figures that cannot be compared, and why."""
    found: list[tuple[Sequence[str], str]] = []
    if counted.python != committed.python:
        of = f"this is Python {counted.python}, and the committed ones are of {committed.python}"
        found.append((_OF_PYTHON, f"Calls and memory are not compared: {of}."))
    if counted.postgresql != committed.postgresql:
        of = f"this is PostgreSQL {counted.postgresql}, and the committed ones are of {committed.postgresql}"
        found.append((_OF_POSTGRESQL, f"Bytes of WAL are not compared: {of}."))
    elif not counted.reads_wal:
        found.append((_OF_POSTGRESQL, f"Bytes of WAL are not compared: {_WAL_NOT_READ}."))
    return found


def _comparison(name: str, key: str, committed: Figures | None, counted: Figures | None) -> Comparison | None:
    figures = counted or committed
    if figures is None:
        return None
    label = f"{name}: {_LABELS[key]} for each {'batch' if key == 'statements' else figures.unit}"
    return Comparison(label, *(getattr(each, key) if each else None for each in (committed, counted)))


def _rounded(value: float) -> float:
    """Return a figure with four digits, without a fraction if that is enough for them."""
    rounded = float(f"{value:.{_DIGITS - 1}e}")
    return int(rounded) if rounded.is_integer() else rounded


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{_rounded(value):,}"


def _percent(change: float | None) -> str:
    return "" if change is None else f"{change:+.1%}"
