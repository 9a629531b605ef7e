"""A port that somebody else takes first costs another try, and nothing more."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from tracker.stack import LocalStack, kafka, postgres
from tracker.stack.ports import free_ports


def test_free_ports_differ_and_are_below_those_of_outgoing_connections() -> None:
    ports = free_ports(50)
    first_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert len(set(ports)) == 50
    assert max(ports) < first_outgoing


@pytest.fixture
def taken_at_first() -> Iterator[Callable[[int], list[int]]]:
    """A `free_ports` whose first ports are not free."""
    taken_before = False

    def ports(count: int) -> list[int]:
        nonlocal taken_before
        if taken_before:
            return free_ports(count)
        taken_before = True
        return [taken.getsockname()[1], *free_ports(count - 1)]

    with socket.create_server(("127.0.0.1", free_ports(1)[0])) as taken:
        yield ports


def test_kafka_starts_on_other_ports(
    taken_at_first: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "free_ports", taken_at_first)
    with LocalStack(kafka_heap="256m", database_url="postgresql://not-used") as stack:
        assert AdminClient({"bootstrap.servers": stack.bootstrap_servers}).list_topics(timeout=10).brokers


def test_postgresql_starts_on_another_port(
    taken_at_first: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "free_ports", taken_at_first)
    with LocalStack(bootstrap_servers="not-used:9092") as stack:
        assert stack.postgres is not None
        assert stack.postgres.is_running()
