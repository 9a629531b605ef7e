"""A producer's batches become smaller where a topic takes no larger ones, and large again after a while."""

from tracker.kafka.batch_size import MIN_BYTES, SMALL_FOR_S, BatchSize


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def test_it_grows_back_a_while_after_it_last_shrank() -> None:
    clock = Clock()
    size = BatchSize(1_000_000, clock)
    assert not size.grow()
    size.shrink()
    clock.now_s += SMALL_FOR_S / 2
    size.shrink()
    assert size.size_bytes == 62_500
    clock.now_s += SMALL_FOR_S
    assert (size.grow(), size.size_bytes) == (False, 62_500)
    clock.now_s += 1
    assert (size.grow(), size.size_bytes) == (True, 1_000_000)
    assert not size.grow()
    size.shrink()
    assert (size.grow(), size.size_bytes) == (False, 250_000)


def test_it_never_becomes_too_small_nor_larger_than_what_was_set() -> None:
    size, small = BatchSize(1_000_000, Clock()), BatchSize(1_000, Clock())
    for _ in range(20):
        size.shrink()
        small.shrink()
    assert (size.size_bytes, small.size_bytes) == (MIN_BYTES, 1_000)
