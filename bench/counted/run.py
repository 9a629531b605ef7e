"""Counts on a PostgreSQL that is started for it."""

from bench.counted.count import Count, count
from tracker.stack import LocalStack
from tracker.store.migrate import migrate


def count_here() -> Count:
    """Start a PostgreSQL with new data, count all cases, and remove it."""
    with LocalStack(bootstrap_servers="none") as stack:  # so it starts no Kafka
        migrate(stack.database_url)
        return count(stack.database_url)
