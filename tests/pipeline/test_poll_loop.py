"""When a batch that is not full ends."""

import pytest

from tracker.pipeline.poll_loop import may_end

WAIT_S = 0.02


@pytest.mark.parametrize("waited_s", [0.0, WAIT_S / 2, 10.0])
def test_at_once_where_no_other_is_worked_on(waited_s: float) -> None:
    assert may_end(0, waited_s, WAIT_S)


@pytest.mark.parametrize(("waited_s", "ends"), [(0.0, False), (WAIT_S * 0.9, False), (WAIT_S, True)])
def test_beside_one_other_after_the_wait(waited_s: float, ends: bool) -> None:
    assert may_end(1, waited_s, WAIT_S) is ends


@pytest.mark.parametrize("in_flight", [2, 3])
@pytest.mark.parametrize(("waited_s", "ends"), [(WAIT_S, False), (0.4, False), (0.6, True)])
def test_beside_two_only_after_long(in_flight: int, waited_s: float, ends: bool) -> None:
    assert may_end(in_flight, waited_s, WAIT_S) is ends


def test_a_wait_that_is_set_longer_holds_beside_two_as_well() -> None:
    assert not may_end(2, 1.0, batch_wait_s=2.0)
    assert may_end(2, 2.0, batch_wait_s=2.0)
