"""Offsets that a person has set are noticed with Kafka's newer group protocol too."""

from tests.acceptance.test_adopt import (  # noqa: F401
    test_an_offset_that_was_set_back_is_refused_and_nothing_is_done_twice,
    tracker,
)
