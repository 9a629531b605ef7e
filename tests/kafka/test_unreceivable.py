"""How far what cannot be received reaches is found by trying offsets; what can be received is never in it."""

from collections.abc import Callable
from typing import Any

import pytest

from tracker.kafka import unreceivable
from tracker.kafka.unreceivable import _Failure, find_unreceivable

Log = Callable[[int], _Failure | None]

TOO_LARGE = _Failure("Invalid response size 9", "it is too large")


class Prober:
    """Answers as a broker would that has this log."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.tried: list[int] = []

    def try_at(self, offset: int) -> _Failure | None:
        self.tried.append(offset)
        return self._log(offset)

    def close(self) -> None:
        """There is nothing to close."""


@pytest.fixture
def reaches_to(monkeypatch: pytest.MonkeyPatch) -> Callable[[Log, int], int]:
    """Find how far what cannot be received at an offset of a log reaches."""

    def reaches_to(log: Log, offset: int) -> int:
        prober = Prober(log)
        monkeypatch.setattr(unreceivable, "_Prober", lambda *_: prober)
        settings: Any = None
        found = find_unreceivable(settings, ("topic", 0), offset)
        assert found is not None
        assert len(prober.tried) < 60
        return found.next_offset

    return reaches_to


@pytest.mark.parametrize("size", [1, 2, 3, 16, 17, 18, 100, 2_000, 30_000])
@pytest.mark.parametrize("gone", [0, 1])
def test_the_end_of_a_batch_is_found_in_few_steps(
    reaches_to: Callable[[Log, int], int], size: int, gone: int
) -> None:
    batch = _Failure("0", "it cannot be unpacked")
    assert reaches_to(lambda offset: batch if offset < size + gone else None, gone) == size + gone


@pytest.mark.parametrize("sound", [3, 4, 7, 12])
def test_a_sound_record_among_others_that_are_too_large_by_as_much_is_not_skipped(
    reaches_to: Callable[[Log, int], int], sound: int
) -> None:
    """Of such a record only the size of the response is known, and a producer may send many of one size."""
    assert reaches_to(lambda offset: None if offset == sound or offset > 30 else TOO_LARGE, 2) == sound
