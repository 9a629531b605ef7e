"""A database is bound to its consumer group by the first run, and only read from then on."""

from contextlib import closing

import pytest

from tracker.errors import TrackerError
from tracker.settings import Settings, load
from tracker.store.connect import connect
from tracker.store.deployment import claim_deployment, read_deployment


def settings(database_url: str, group_id: str) -> Settings:
    return load(
        {
            "TRACKER_KAFKA_BOOTSTRAP_SERVERS": "broker:9092",
            "TRACKER_DATABASE_URL": database_url,
            "TRACKER_GROUP_ID": group_id,
        }
    )


def row(database_url: str) -> object:
    with closing(connect(database_url)) as connection:
        return connection.execute("SELECT xmin::text, ctid::text, group_id FROM deployment").fetchall()


def test_who_only_looks_binds_nothing(database_url: str) -> None:
    before = row(database_url)
    database_id = read_deployment(settings(database_url, "one"))
    assert row(database_url) == before
    assert claim_deployment(settings(database_url, "one")) == database_id


def test_a_database_that_is_bound_is_only_read(database_url: str) -> None:
    claim_deployment(settings(database_url, "one"))
    before = row(database_url)
    claim_deployment(settings(database_url, "one"))
    assert row(database_url) == before


@pytest.mark.parametrize("look", [claim_deployment, read_deployment])
def test_another_group_is_refused(database_url: str, look: object) -> None:
    claim_deployment(settings(database_url, "one"))
    with pytest.raises(TrackerError, match="serves the consumer group 'one'"):
        look(settings(database_url, "other"))  # type: ignore[operator]
