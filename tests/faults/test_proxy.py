"""The proxy changes nothing until a test injects a fault."""

import logging
from collections.abc import Iterator

import psycopg
import pytest
from confluent_kafka import KafkaException, Producer

from tests.faults.cluster import Cluster
from tests.faults.proxy import TO_CLIENT
from tests.support.kafka import Kafka

SILENT = logging.getLogger("silent")
SILENT.setLevel(logging.CRITICAL)


@pytest.fixture
def database(one_broker: Cluster) -> Iterator[str]:
    """A database with a table; its URL goes through the proxy."""
    url = one_broker.new_database()
    through = one_broker.variables(url)["TRACKER_DATABASE_URL"]
    with psycopg.connect(through, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (number integer)")
    yield through
    one_broker.postgres_proxy.cut()
    one_broker.heal()
    one_broker.drop_database(url)


def rows(url: str) -> int:
    with psycopg.connect(url) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM kept").fetchall()
        return int(count)


@pytest.mark.parametrize("pipeline", [False, True])
@pytest.mark.parametrize("before", [False, True])
def test_a_commit_is_cut_before_or_after_it(
    one_broker: Cluster, database: str, pipeline: bool, before: bool
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        trap = one_broker.postgres_proxy.trap("COMMIT", before=before)
        with pytest.raises(psycopg.OperationalError):
            insert(connection, pipeline=pipeline)
    trap.wait()
    assert rows(database) == (0 if before else 1)


def insert(connection: psycopg.Connection[tuple[object, ...]], *, pipeline: bool) -> None:
    if pipeline:
        with connection.pipeline(), connection.transaction():
            connection.execute("INSERT INTO kept VALUES (%s)", [1])
    else:
        with connection.transaction():
            connection.execute("INSERT INTO kept VALUES (%s)", [1])


def test_what_is_down_stays_down_until_healed(one_broker: Cluster, database: str) -> None:
    one_broker.postgres_proxy.cut(stay_down=True)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(database, connect_timeout=5)
    one_broker.heal()
    assert rows(database) == 0


def test_a_blocked_network_is_silent_and_loses_nothing(one_broker: Cluster, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        one_broker.postgres_proxy.block(TO_CLIENT)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(database, connect_timeout=2)
        one_broker.heal()
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


def test_kafka_is_reached_through_the_proxy_only_and_its_requests_are_known(
    one_broker: Cluster, kafka_topic: str
) -> None:
    proxy = one_broker.kafka_proxies[0]
    addresses = one_broker.variables(one_broker.stack.database_url)["TRACKER_KAFKA_BOOTSTRAP_SERVERS"]
    producer = Producer(
        {"bootstrap.servers": addresses, "transactional.id": kafka_topic, "log_level": 0}, logger=SILENT
    )
    producer.init_transactions(30)
    assert {broker.port for broker in producer.list_topics(timeout=30).brokers.values()} == {proxy.port}
    producer.begin_transaction()
    producer.produce(kafka_topic, b"kept")
    trap = proxy.trap("EndTxn", stay_down=True)
    with pytest.raises(KafkaException):
        producer.commit_transaction(3)
    assert trap.is_sprung
    assert [record.value for record in Kafka(one_broker.bootstrap_servers).read(kafka_topic)] == [b"kept"]
