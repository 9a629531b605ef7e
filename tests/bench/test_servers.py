"""Everything that a run creates on given servers is removed, also after an interrupt."""

import json
from pathlib import Path

import psycopg
import pytest
from confluent_kafka.admin import AdminClient

from bench.cli import main
from bench.servers import Servers
from bench.workload import Topics
from tracker.stack import LocalStack


def made_by_us(stack: LocalStack, admin: AdminClient) -> list[str]:
    """List topics, groups and databases whose names the benchmark has given."""
    names = list(admin.list_topics(timeout=30).topics)
    names += [group.group_id for group in admin.list_consumer_groups(request_timeout=30).result(30).valid]
    with psycopg.connect(stack.database_url) as connection:
        names += [name for (name,) in connection.execute("SELECT datname FROM pg_database")]
    return [name for name in names if name.startswith("tracker-bench-")]


def test_against_given_servers_it_removes_all_that_it_created(
    stack: LocalStack, admin: AdminClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in stack.environment().items():
        monkeypatch.setenv(name, value)

    assert main(["--against", "--quick", "fan-in", "--messages", "10000", "--output", str(tmp_path)]) == 0

    path, summary = sorted(tmp_path.glob("*.json"), key=lambda path: ".summary" in path.name)
    assert "summary_format" in json.loads(summary.read_text(encoding="utf-8"))
    cases = json.loads(path.read_text())["scenarios"]["fan-in"]["cases"]
    assert [case["at"] for case in cases] == [1_000, 10_000]
    # Whose CPU time it cannot know, it leaves out.
    assert not {"cpu_us_postgresql", "wal_bytes"} & cases[0]["metrics"].keys()
    assert cases[0]["metrics"]["cpu_us_contender"]["median"] > 0
    assert made_by_us(stack, admin) == []


def test_what_is_interrupted_is_removed_too(stack: LocalStack, admin: AdminClient) -> None:
    clients = {"bootstrap.servers": stack.bootstrap_servers}
    servers = Servers(clients, stack.database_url, prefix="tracker-bench-test")
    topics = Topics.of(servers.prefix)

    def be_interrupted() -> None:
        with servers.topics(topics), servers.database(topics.tracking):
            assert topics.start in made_by_us(stack, admin)
            assert made_by_us(stack, admin).count(topics.tracking) == 2  # the topic and the database
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        be_interrupted()
    assert made_by_us(stack, admin) == []
