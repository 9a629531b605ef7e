"""`tracker adopt --skip`, as it is typed."""

import json

import pytest

from tests.cli.conftest import ENOUGH, Command
from tests.support.kafka import MakeTopic
from tests.support.unreceivable import send_bomb


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
def test_wrong_usage_is_one_sentence(bare_command: Command, arguments: tuple[str, ...], why: str) -> None:
    result = bare_command("adopt", *arguments, **ENOUGH)
    assert result.status == 2
    assert why in " ".join(result.err_lines)


def test_it_says_what_would_be_skipped_and_asks_for_it(
    bare_command: Command, bootstrap_servers: str, database_url: str, topic: MakeTopic
) -> None:
    name = topic()
    variables = {
        "TRACKER_KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
        "TRACKER_DATABASE_URL": database_url,
        "TRACKER_TOPICS": name,
    }
    send_bomb(bootstrap_servers, name, 0)
    said = bare_command("adopt", "--skip", f"{name}:0:3", "--dry-run", **variables)
    assert said.status == 0
    assert said.lines[0].startswith(
        f"Kafka partition 0 of topic '{name}': offsets 3 to 1999 cannot be received ("
    )
    assert said.lines[0].endswith(" and would be skipped.")
    done = bare_command("adopt", "--skip", f"{name}:0:3", "--json", **variables)
    assert json.loads(done.lines[0]).items() >= {"first_offset": 3, "next_offset": 2_000}.items()
    refused = bare_command("adopt", "--skip", f"{name}:0:2000", **variables)
    assert (refused.status, len(refused.err_lines)) == (1, 1)
    assert "can be received, and is not skipped" in refused.err_lines[0]
