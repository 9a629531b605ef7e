"""The comparison with the compiled step, without the step: a stand-in decodes what the step would."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.errors import WrongResult
from bench.native import build
from bench.native.comparison import compare
from bench.native.decoding import CompiledStep
from bench.native.equality import differing
from bench.native.generated import Generator, rules
from tracker.messages.decode import DecodedBatch, Record, decode_batch
from tracker.messages.task_message import decode_message

NOW_MS = 1_700_000_000_000


def test_without_cargo_a_sentence_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "BUILD", tmp_path / "build")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert main(["native"]) == 1
    assert capsys.readouterr().err == (
        "FAILED: the compiled step is built with Rust's cargo, but there is none on the PATH: install Rust"
        " 1.85 or later (on Debian and Ubuntu: cargo).\n"
    )


# --- the generated messages


def values(seed: int) -> list[bytes | None]:
    return [record.value() for record in Generator(seed).batch(200)]


def test_the_same_seed_generates_the_same_messages() -> None:
    assert values(1) == values(1)
    assert values(1) != values(2)


def test_good_and_bad_messages_of_all_kinds_are_generated() -> None:
    batch = decode_batch(Generator(1).batch(40_000), rules(), NOW_MS)

    assert {refusal.reason.value for _, refusal in batch.refused} == {
        "bad-job-task-id",
        "destination-not-allowed",
        "destination-unknown",
        "missing-field",
        "not-an-object",
        "not-json",
        "nul-in-text",
        "too-deep",
        "too-large",
        "unknown-classifier",
        "unknown-version",
        "wrong-type",
    }
    assert 0.2 < len(batch.refused) / 40_000 < 0.8
    assert min(batch.events, batch.retries, batch.untracked) > 50
    works = batch.jobs.values()
    kinds = "event_siblings job_completed_positions open_positions ending_positions other_runs"
    for kind in kinds.split():
        assert any(getattr(work, kind) for work in works), kind


# --- what is decoded in Rust and what is decoded in Python


def stand_in(takes: Callable[[int], bool]) -> CompiledStep:
    """Return a step in Python, which decodes the messages at some positions."""

    def step(records: list[Record], _max: int, _headers: object, _allows: object, /) -> Any:
        destinations: list[str | None] = [None] * len(records)
        values: list[bytes | None] = [None] * len(records)
        left, untracked, groups = [], 0, dict[tuple[str, int], Any]()
        for position, record in enumerate(records):
            alone = decode_batch([record], rules(), NOW_MS)
            if not takes(position) or not is_plain(alone):
                left.append(position)
                continue
            destinations[position], values[position] = alone.destinations[0], alone.values[0]
            untracked += alone.untracked
            for work in alone.jobs.values():
                add(groups, position, record, work.siblings[0])
        return destinations, values, left, untracked, list(groups.values())

    return step


def is_plain(alone: DecodedBatch) -> bool:
    if alone.refused or alone.events or alone.retries:
        return False
    return all(work.siblings for work in alone.jobs.values())


def add(groups: dict[tuple[str, int], Any], position: int, record: Record, siblings: Any) -> None:
    tracking = decode_message(record.value() or b"").tracking
    assert tracking is not None
    parent_text = (tracking.jobTaskId or "").rpartition(".")[0]
    steps = [tuple(step) for step in siblings.steps]
    name = (parent_text, siblings.run, *siblings.job, siblings.path, steps)
    name, texts, positions, indexes, last, open_texts, open_positions = groups.get(
        (parent_text, siblings.run), (name, [], [], [], 0, [], [])
    )
    groups[parent_text, siblings.run] = (
        name,
        texts + siblings.completed_texts,
        positions + [position] * len(siblings.completed_positions),
        indexes + siblings.completed,
        max(last, siblings.last),
        open_texts + siblings.open_texts,
        open_positions + [position] * len(siblings.open_positions),
    )


@pytest.mark.parametrize(
    "takes",
    [lambda _: False, lambda _: True, lambda position: position % 2, lambda position: position % 7 > 4],
    ids=["nothing", "all", "every other", "a few"],
)
def test_messages_are_in_the_same_groups_whichever_way_decodes_them(takes: Callable[[int], bool]) -> None:
    compared = compare(stand_in(takes), 4_000, seed=1, say=lambda _: None)

    assert compared.messages == 4_000
    assert compared.refused < compared.left
    assert (compared.left == 4_000) == (not takes(5))


def test_a_step_that_makes_something_else_of_a_message_is_found_and_the_message_named() -> None:
    right = stand_in(lambda _: True)

    def wrong(*arguments: Any) -> Any:
        destinations, *others = right(*arguments)
        return [destination and "elsewhere" for destination in destinations], *others

    with pytest.raises(WrongResult, match=r"^destinations differ: the message is b'"):
        compare(wrong, 200, seed=1, say=lambda _: None)


def test_batches_that_differ_in_their_groups_alone_differ() -> None:
    one, other = (decode_batch(Generator(1).batch(200), rules(), NOW_MS) for _ in range(2))
    assert differing(one, other) == []

    siblings = next(work for work in other.jobs.values() if work.siblings).siblings[0]
    siblings.last += 1

    assert differing(one, other) == ["jobs"]
