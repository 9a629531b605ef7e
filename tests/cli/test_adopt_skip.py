"""`tracker adopt --skip`, as it is typed."""

import json

import pytest

from tests.cli.test_config import ENOUGH, Tracker, tracker
from tests.support.kafka import MakeTopic
from tests.support.unreceivable import send_bomb

__all__ = ["tracker"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "name 'database' or 'kafka'"),
        (("database", "--skip", "t:0:1"), "name 'database' or 'kafka'"),
        (("--skip", "t:0"), "'t:0' is not TOPIC:PARTITION:OFFSET"),
        (("--skip", "t:x:1"), "is not TOPIC:PARTITION:OFFSET"),
        (("--skip", "t:0:-1"), "is not TOPIC:PARTITION:OFFSET"),
    ],
)
def test_wrong_usage_is_one_sentence(tracker: Tracker, arguments: tuple[str, ...], why: str) -> None:
    result = tracker("adopt", *arguments, **ENOUGH)
    assert result.status == 2
    assert why in " ".join(result.err)


def test_it_says_what_would_be_skipped_and_asks_for_it(
    tracker: Tracker, bootstrap_servers: str, database_url: str, topic: MakeTopic
) -> None:
    name = topic()
    variables = {
        "TRACKER_KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
        "TRACKER_DATABASE_URL": database_url,
        "TRACKER_TOPICS": name,
    }
    send_bomb(bootstrap_servers, name, 0)
    said = tracker("adopt", "--skip", f"{name}:0:3", "--dry-run", **variables)
    assert said.status == 0
    assert said.out[0].startswith(
        f"Kafka partition 0 of topic '{name}': offsets 3 to 1999 cannot be received ("
    )
    assert said.out[0].endswith(" and would be skipped.")
    done = tracker("adopt", "--skip", f"{name}:0:3", "--json", **variables)
    assert json.loads(done.out[0]).items() >= {"first_offset": 3, "next_offset": 2_000}.items()
    refused = tracker("adopt", "--skip", f"{name}:0:2000", **variables)
    assert (refused.status, len(refused.err)) == (1, 1)
    assert "can be received, and is not skipped" in refused.err[0]
