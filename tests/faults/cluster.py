"""The servers of the fault tests, with a proxy in front of each."""

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.faults.proxy import KafkaRequests, PostgresRequests, Proxy
from tests.support.pgbouncer import PgBouncer
from tracker.stack import LocalStack
from tracker.stack.lifetime import Watchdog
from tracker.store.migrate import migrate

KAFKA_SETTINGS = {
    # A tenth of the seconds that brokers take by default.
    "group.min.session.timeout.ms": "500",
    "group.consumer.session.timeout.ms": "2000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "200",
    "transactional.id.expiration.ms": "600000",
}
PGBOUNCER_SETTINGS = {
    "auth_user": "tracker",  # PgBouncer looks the rounds' roles up in PostgreSQL
    "default_pool_size": "40",
    "server_login_retry": "1",
}
POSTGRES_SETTINGS = {"max_connections": "60", "log_line_prefix": "%m %p %d "}


class Cluster:
    """Kafka, PostgreSQL and their proxies. The addresses are the servers' own: tests bypass the proxies."""

    def __init__(self, stack: LocalStack, kafka_proxies: list[Proxy], postgres_proxy: Proxy) -> None:
        self.stack = stack
        self.kafka_proxies = kafka_proxies
        self.postgres_proxy = postgres_proxy
        self.pooler: PgBouncer | None = None
        self._exits = ExitStack()
        self._template = self._make_template()

    def close(self) -> None:
        """Stop the pooler, if there is one."""
        self._exits.close()

    def route_through_pooler(self, wanted: bool) -> None:
        """Connect the proxy to PostgreSQL, or to a PgBouncer in session mode in front of it."""
        assert self.stack.postgres is not None
        if wanted and self.pooler is None:
            watchdog = Watchdog()
            folder = Path(tempfile.mkdtemp(prefix="tracker-pgbouncer-"))
            watchdog.watch_directory(folder)
            self._exits.callback(shutil.rmtree, folder, ignore_errors=True)
            self._exits.callback(watchdog.close)
            pooler = PgBouncer(folder, self.stack.database_url, watchdog, **PGBOUNCER_SETTINGS)
            self.pooler = self._exits.enter_context(pooler)
        self.postgres_proxy.forward_to(
            self.pooler.port if wanted and self.pooler is not None else self.stack.postgres.port
        )

    @property
    def bootstrap_servers(self) -> str:
        """The addresses of the brokers."""
        return self.stack.bootstrap_servers

    @property
    def proxies(self) -> list[Proxy]:
        """The proxies of the brokers, then that of PostgreSQL."""
        return [*self.kafka_proxies, self.postgres_proxy]

    def variables(self, database_url: str) -> dict[str, str]:
        """Return the settings with which the tracker connects through the proxies."""
        addresses = ",".join(f"127.0.0.1:{proxy.port}" for proxy in self.kafka_proxies)
        url = make_conninfo(database_url, port=self.postgres_proxy.port)
        return {"TRACKER_KAFKA_BOOTSTRAP_SERVERS": addresses, "TRACKER_DATABASE_URL": url}

    def new_database(self, tablespace: str = "pg_default") -> str:
        """Create a database with the tracker's schema, and return its URL."""
        name = f"round_{uuid.uuid4().hex[:10]}"
        self._execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} TABLESPACE {}").format(
                sql.Identifier(name), sql.Identifier(self._template), sql.Identifier(tablespace)
            )
        )
        return make_conninfo(self.stack.database_url, dbname=name)

    def drop_database(self, url: str) -> None:
        """Drop a database."""
        name = str(conninfo_to_dict(url)["dbname"])
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def heal(self) -> None:
        """Have all proxies forward everything again, without delay."""
        for proxy in self.proxies:
            proxy.heal()

    def _make_template(self) -> str:
        name = "template_of_rounds"
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        migrate(make_conninfo(self.stack.database_url, dbname=name))
        return name

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.stack.database_url, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def start_cluster(brokers: int = 1) -> Iterator[Cluster]:
    """Start servers and proxies, and stop them at the end of the block."""
    with ExitStack() as exits:
        kafka_proxies = [exits.enter_context(Proxy(KafkaRequests)) for _ in range(brokers)]
        postgres_proxy = exits.enter_context(Proxy(PostgresRequests))
        stack = LocalStack(
            brokers=brokers,
            kafka_heap="512m",
            kafka_settings=KAFKA_SETTINGS,
            kafka_proxy_ports=[proxy.port for proxy in kafka_proxies],
            postgres_settings=POSTGRES_SETTINGS,
        )
        exits.enter_context(stack)
        for proxy, broker in zip(kafka_proxies, stack.brokers, strict=True):
            assert broker.proxied_port is not None
            proxy.forward_to(broker.proxied_port)
        assert stack.postgres is not None
        postgres_proxy.forward_to(stack.postgres.port)
        cluster = Cluster(stack, kafka_proxies, postgres_proxy)
        exits.callback(cluster.close)
        yield cluster
