"""What fixed batches cost is what is committed, and a change that costs more is noticed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import bench.batch_applier
import bench.counted.run
from bench.cli import main
from bench.counted.committed import comparisons, notes, read_committed, verdict, write_committed
from bench.counted.count import Count, Figures, count
from bench.errors import BenchError
from tracker.messages.decode import DecodedBatch, decode_batch
from tracker.store.batch_store import BatchStore

FIGURES = Figures("message", 10, 516.9, 187.9, 66.38, 6_420.0)
COMMITTED = Count("3.11", "15", {"small": FIGURES})


def counted(**changed: Any) -> Count:
    return replace(COMMITTED, figures={"small": replace(FIGURES, **changed)})


def difference(now: Count) -> str:
    return verdict(comparisons(COMMITTED, now))


def test_fixed_batches_cost_what_is_committed(database_url: str) -> None:
    found = verdict(comparisons(read_committed(), count(database_url)))

    if found:
        pytest.fail(found, pytrace=False)


def test_a_message_that_is_decoded_twice_is_noticed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode_twice(*arguments: Any) -> DecodedBatch:
        decode_batch(*arguments)
        return decode_batch(*arguments)

    monkeypatch.setattr(bench.batch_applier, "decode_batch", decode_twice)

    assert "calls for each message" in difference_of_proxied(database_url)


def test_one_more_statement_is_noticed(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lock_batch_jobs = BatchStore.lock_batch_jobs

    def lock_twice(store: BatchStore, *arguments: Any) -> Any:
        lock_batch_jobs(store, *arguments)
        return lock_batch_jobs(store, *arguments)

    monkeypatch.setattr(BatchStore, "lock_batch_jobs", lock_twice)

    assert "proxied: statements for each batch: 5 committed, 6 counted (+20.0%)" in difference_of_proxied(
        database_url
    )


def difference_of_proxied(database_url: str) -> str:
    committed = read_committed()
    committed = replace(committed, figures={"proxied": committed.figures["proxied"]})
    now = count(database_url, ["proxied"])
    return verdict(comparisons(replace(committed, python=now.python), now))


@pytest.mark.parametrize(
    ("changed", "lines"),
    [
        ({}, []),
        ({"calls": 187.9 * 1.049, "wal_bytes": 516.9 * 0.951}, []),
        (
            {"calls": 187.9 * 1.06},
            ["small: calls for each message: 187.9 committed, 199.2 counted (+6.0%)"],
        ),
        # If it remained, the figure could rise again unnoticed.
        (
            {"peak_bytes": 6_420 * 0.94},
            ["small: bytes of memory at the peak for each message: 6,420 committed, 6,035 counted (-6.0%)"],
        ),
        ({"statements": 11}, ["small: statements for each batch: 10 committed, 11 counted (+10.0%)"]),
    ],
)
def test_a_difference_of_more_than_5_percent_is_named(changed: dict[str, Any], lines: Sequence[str]) -> None:
    found = difference(counted(**changed)).splitlines()

    assert [line.strip() for line in found[1:-1]] == lines
    if lines:
        assert found[0] == "These counted figures differ from the committed ones by more than 5%:"
        assert "`python -m bench compare --write`" in found[-1]


def test_calls_and_memory_are_compared_only_on_the_same_python() -> None:
    now = replace(counted(calls=1.0, blocks=1.0, peak_bytes=1.0, statements=11), python="3.13")

    assert difference(now).count("small:") == 1
    assert notes(COMMITTED, now) == [
        "Calls and memory are not compared: this is Python 3.13, and the committed ones are of 3.11."
    ]


@pytest.mark.parametrize("postgresql", ["15", "18"])
def test_wal_is_compared_only_if_it_can_be_read_on_the_same_postgresql(postgresql: str) -> None:
    now = replace(counted(wal_bytes=None if postgresql == "15" else 1.0), postgresql=postgresql)

    assert difference(now) == ""
    assert [note.partition(":")[0] for note in notes(COMMITTED, now)] == ["Bytes of WAL are not compared"]


def test_a_case_that_is_new_or_gone_differs() -> None:
    both = replace(COMMITTED, figures={"small": FIGURES, "large": FIGURES})

    assert "large: calls for each message: - committed, 187.9 counted" in difference(both)
    assert "large: calls for each message: 187.9 committed, - counted" in verdict(
        comparisons(both, COMMITTED)
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "committed.toml"

    write_committed(COMMITTED, path)

    assert read_committed(path) == COMMITTED


def test_figures_without_wal_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="superuser"):
        write_committed(counted(wal_bytes=None), tmp_path / "committed.toml")


@pytest.mark.parametrize(("share", "status"), [(1.0, 0), (1.5, 1)])
def test_compare_without_files_compares_what_is_counted(
    share: float, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = read_committed()
    figures = {name: replace(each, calls=each.calls * share) for name, each in now.figures.items()}
    monkeypatch.setattr(bench.counted.run, "count_here", lambda: replace(now, figures=figures))

    assert main(["compare"]) == status
    said = capsys.readouterr().out
    assert "complete: calls for each message" in said
    assert ("No figure differs" in said) == (status == 0)


@pytest.mark.parametrize("arguments", [["A.json"], ["A.json", "B.json", "--write"]])
def test_compare_takes_two_files_or_none(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compare", *arguments])

    assert ended.value.code == 2
    assert "give two files, or none; --write goes with none" in capsys.readouterr().err
