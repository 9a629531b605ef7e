"""Markers and aborted records are passed with Kafka's newer group protocol too, also through a rebalance."""

from tests.acceptance.test_quiet_topics import (  # noqa: F401
    test_retention_may_remove_what_nobody_is_to_read,
    test_what_is_not_decided_is_not_passed,
    tracker,
    transactions,
)
