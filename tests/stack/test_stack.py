"""A local stack serves, survives kills, leaves nothing behind, and does not disturb its like."""

import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tracker.errors import StackError
from tracker.stack import KafkaBroker, LocalStack, PostgresServer
from tracker.stack.lifetime import ProcessIdentity, wait_until


@pytest.fixture(scope="module")
def own() -> Iterator[LocalStack]:
    """A stack that tests may harm, as long as they mend it."""
    with LocalStack(kafka_heap="256m") as stack:
        yield stack


def test_new_stack_has_an_empty_kafka_and_a_durable_postgresql(own: LocalStack) -> None:
    assert not AdminClient({"bootstrap.servers": own.bootstrap_servers}).list_topics(timeout=10).topics
    with psycopg.connect(own.database_url) as connection:
        for setting, value in {
            "fsync": "on",
            "synchronous_commit": "on",
            "listen_addresses": "127.0.0.1",
        }.items():
            assert connection.execute("SELECT current_setting(%s)", [setting]).fetchone() == (value,)


def test_killed_broker_comes_back_at_its_address_with_its_data(own: LocalStack) -> None:
    (broker,) = own.brokers
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.create_topics([NewTopic("kept", num_partitions=1)])["kept"].result(timeout=10)
    producer = Producer({"bootstrap.servers": broker.address})
    producer.produce("kept", b"still here")
    assert producer.flush(10) == 0

    pid = broker.pid
    broker.kill()
    assert not ProcessIdentity.of(pid).is_running()
    broker.start()

    assert broker.pid != pid
    assert _first_message(broker.address, "kept") == b"still here"


def test_killed_postgresql_comes_back_at_its_address_with_its_data(own: LocalStack) -> None:
    assert own.postgres is not None
    with psycopg.connect(own.database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS number")

    own.postgres.kill()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(own.database_url)
    own.postgres.start()

    with psycopg.connect(own.database_url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (1,)


@pytest.mark.parametrize("part", ["kafka", "postgres"])
def test_stopping_twice_does_nothing_and_starting_twice_is_refused(own: LocalStack, part: str) -> None:
    server: KafkaBroker | PostgresServer | None = own.brokers[0] if part == "kafka" else own.postgres
    assert server is not None
    server.stop()
    server.stop()
    with pytest.raises(StackError, match=r"is not running\.$"):
        _ = server.pid
    server.start()
    with pytest.raises(StackError, match=r"is running already\.$"):
        server.start()


def test_three_brokers_keep_three_replicas_and_serve_without_one_of_them() -> None:
    with LocalStack(brokers=3, kafka_heap="256m", database_url="postgresql://not-used") as stack:
        admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
        admin.create_topics([NewTopic("kept")])["kept"].result(timeout=10)
        # The controller has made it; the brokers hear of it a moment later.
        assert wait_until(lambda: 0 in admin.list_topics("kept", timeout=10).topics["kept"].partitions, 10)
        assert len(admin.list_topics("kept", timeout=10).topics["kept"].partitions[0].replicas) == 3

        stack.brokers[0].kill()
        others = ",".join(broker.address for broker in stack.brokers[1:])
        producer = Producer({"bootstrap.servers": others, "acks": "all"})
        producer.produce("kept", b"by two")
        assert producer.flush(30) == 0
        assert _first_message(others, "kept") == b"by two"


def test_two_stacks_that_start_at_once_have_nothing_in_common() -> None:
    stacks = [LocalStack(kafka_heap="256m") for _ in range(2)]
    threads = [threading.Thread(target=stack.start) for stack in stacks]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        one, other = stacks
        assert one.bootstrap_servers != other.bootstrap_servers
        admin = AdminClient({"bootstrap.servers": one.bootstrap_servers})
        admin.create_topics([NewTopic("ours", num_partitions=1)])["ours"].result(timeout=10)
        assert "ours" not in AdminClient({"bootstrap.servers": other.bootstrap_servers}).list_topics().topics
        for stack in stacks:
            with psycopg.connect(stack.database_url) as connection:
                connection.execute("CREATE TABLE ours ()")
    finally:
        for stack in stacks:
            stack.stop()


def test_stopped_stack_leaves_no_process_and_no_file(open_folder: Path) -> None:
    directory = open_folder / "stack"
    stack = LocalStack(directory, kafka_heap="256m")
    with stack:
        servers = [identity for identity, _ in stack.servers()]
        assert len(servers) == 2
    assert not any(identity.is_running() for identity in servers)
    assert not directory.exists()


def test_stack_does_not_outlive_a_program_that_is_killed(open_folder: Path) -> None:
    directory = open_folder / "stack"
    program = """
        import sys, time
        from pathlib import Path
        from tracker.stack import LocalStack

        stack = LocalStack(Path(sys.argv[1]), kafka_heap="256m")
        stack.start()
        print(*(identity.pid for identity, _ in stack.servers()), flush=True)
        time.sleep(600)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), directory], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        servers = [ProcessIdentity.of(int(pid)) for pid in owner.stdout.readline().split()]
        assert len(servers) == 2
        owner.kill()
    assert wait_until(lambda: not any(identity.is_running() for identity in servers), timeout_s=20)
    assert wait_until(lambda: not directory.exists(), timeout_s=20)


def _first_message(bootstrap_servers: str, topic: str) -> bytes | None:
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "reader"})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        message = consumer.poll(20)
        return None if message is None else message.value()
    finally:
        consumer.close()
