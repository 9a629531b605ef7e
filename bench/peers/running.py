"""Run a peer: its processes, until all of them have their share of the Kafka partitions."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

from bench.children import run_child, wait_until_ready
from bench.contenders import Contender
from bench.errors import BenchError
from bench.peers.process import PeerSettings
from bench.servers import Servers
from bench.workload import Topics
from tracker.stack.lifetime import Watchdog, wait_until

_CALL_TIMEOUT_S = 30.0
_JOIN_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class PeerProgram:
    """A peer that is set up. It has a process for each worker of the tracker, or as many threads in one."""

    name: str
    command: Sequence[str | Path]
    threaded: bool = False


@contextmanager
def run_peer(
    program: PeerProgram,
    servers: Servers,
    topics: Topics,
    *,
    workers: int,
    batch_size: int,
    watchdog: Watchdog,
) -> Iterator[Contender]:
    """Run the peer's processes, which share the Kafka partitions and wait for messages when this yields."""
    name = program.name
    group_id = f"{topics.tracking}-{name.lower().replace(' ', '-')}"
    with ExitStack() as stack:
        stack.callback(_delete_changelogs, servers.admin, group_id)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tracker-bench-")))
        children = []
        for slot in range(1 if program.threaded else workers):
            state = folder / str(slot)
            settings = PeerSettings(
                bootstrap_servers=servers.bootstrap_servers,
                group_id=group_id,
                topic=topics.tracking,
                destination=topics.destination,
                threads=workers if program.threaded else 1,
                slot=slot,
                batch_size=batch_size,
                state_directory=str(state),
            )
            children.append(stack.enter_context(run_child(program.command, settings._asdict(), watchdog)))
        check = wait_until_ready(name, children)

        def shared() -> bool:
            check()
            return _shares(servers.admin, group_id, topics.tracking) == (workers, topics.kafka_partitions)

        if not wait_until(shared, _JOIN_TIMEOUT_S):
            raise BenchError(f"the processes of {name} did not share the Kafka partitions in time")
        yield Contender(name, group_id, [child.pid for child in children], check)


def _shares(admin: AdminClient, group_id: str, topic: str) -> tuple[int, int]:
    """Return how many members of a group have Kafka partitions of a topic, and how many together."""
    described = admin.describe_consumer_groups([group_id], request_timeout=_CALL_TIMEOUT_S)[group_id]
    try:
        group: Any = described.result(_CALL_TIMEOUT_S)
    except KafkaException:  # no member has joined yet
        return 0, 0
    if group.state != ConsumerGroupState.STABLE:
        return 0, 0
    shares = [
        sum(assigned.topic == topic for assigned in member.assignment.topic_partitions)
        for member in group.members
    ]
    return sum(share > 0 for share in shares), sum(shares)


def _delete_changelogs(admin: AdminClient, group_id: str) -> None:
    """Delete the topics that the peer has created for its state: their names have its group's."""
    names = [name for name in admin.list_topics(timeout=_CALL_TIMEOUT_S).topics if group_id in name]
    if names:
        for deleted in admin.delete_topics(names).values():
            deleted.result(_CALL_TIMEOUT_S)
