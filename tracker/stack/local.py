"""Kafka and PostgreSQL, for as long as a program needs them."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tracker.errors import StackError
from tracker.stack.kafka import KafkaBroker, KafkaCluster
from tracker.stack.kafka_software import Say, find_kafka
from tracker.stack.lifetime import ProcessIdentity, Watchdog
from tracker.stack.postgres import PostgresServer, find_postgres

KAFKA_VARIABLE = "TRACKER_KAFKA_BOOTSTRAP_SERVERS"
DATABASE_VARIABLE = "TRACKER_DATABASE_URL"


class LocalStack:
    """A Kafka cluster and a PostgreSQL server with new data, on free ports of 127.0.0.1.

    Any number of stacks can run on one machine. `directory` must not exist, or must be empty; by default, it
    is a new one in the system's temporary folder. `stop` removes it with all data; the watchdog does so if
    this program dies before. `bootstrap_servers` and `database_url` name servers that exist already: these
    are used instead, and never stopped. `kafka_proxy_ports`: see `KafkaCluster`.

    `brokers` and `postgres` can be stopped, killed and started again one by one.
    """

    def __init__(  # noqa: PLR0913 - all by name, and all optional
        self,
        directory: Path | None = None,
        *,
        brokers: int = 1,
        kafka_heap: str = "1g",
        kafka_settings: Mapping[str, str] | None = None,
        kafka_java_options: Sequence[str] = (),
        kafka_proxy_ports: Sequence[int] = (),
        postgres_settings: Mapping[str, str] | None = None,
        bootstrap_servers: str | None = None,
        database_url: str | None = None,
        say: Say = lambda _: None,
    ) -> None:
        self.kafka: KafkaCluster | None = None
        self.postgres: PostgresServer | None = None
        self._directory = directory
        self._brokers = brokers
        self._kafka_heap = kafka_heap
        self._kafka_settings = kafka_settings
        self._kafka_java_options = kafka_java_options
        self._kafka_proxy_ports = kafka_proxy_ports
        self._postgres_settings = postgres_settings
        self._external_bootstrap_servers = bootstrap_servers
        self._external_database_url = database_url
        self._say = say
        self._watchdog = Watchdog()
        self._started_in: Path | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], *, say: Say = lambda _: None) -> Self:
        """Return a stack that uses the servers that the environment names, and starts the others."""
        return cls(
            bootstrap_servers=environment.get(KAFKA_VARIABLE) or None,
            database_url=environment.get(DATABASE_VARIABLE) or None,
            say=say,
        )

    @property
    def bootstrap_servers(self) -> str:
        """The addresses for Kafka clients.

        :raises StackError: the stack was not started.
        """
        if self._external_bootstrap_servers is not None:
            return self._external_bootstrap_servers
        if self.kafka is None:
            raise StackError("The stack has not been started.")
        return self.kafka.bootstrap_servers

    @property
    def database_url(self) -> str:
        """The database `tracker`, for its owner.

        :raises StackError: the stack was not started.
        """
        if self._external_database_url is not None:
            return self._external_database_url
        if self.postgres is None:
            raise StackError("The stack has not been started.")
        return self.postgres.url

    @property
    def brokers(self) -> tuple[KafkaBroker, ...]:
        """The brokers that this stack has started, node 1 first."""
        return () if self.kafka is None else self.kafka.brokers

    def environment(self) -> dict[str, str]:
        """Return the variables with which `tracker` uses this stack."""
        return {KAFKA_VARIABLE: self.bootstrap_servers, DATABASE_VARIABLE: self.database_url}

    def start(self) -> None:
        """Start both and wait until they serve.

        :raises StackError: that fails; nothing is left then.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End both at once and remove their data. It does nothing without a start, or the second time."""
        if self.kafka is not None:
            self.kafka.kill()
        if self.postgres is not None:
            self.postgres.kill()
        self.kafka = self.postgres = None
        self._watchdog.close()
        if self._started_in is not None:
            # The watchdog has removed it already, unless the watchdog was killed.
            shutil.rmtree(self._started_in, ignore_errors=True)
            self._started_in = None

    def servers(self) -> list[tuple[ProcessIdentity, int]]:
        """Return each process that this stack has started, with the signal that ends it at once."""
        parts: list[KafkaBroker | PostgresServer] = [*self.brokers]
        if self.postgres is not None:
            parts.append(self.postgres)
        return [(part.identity, part.fast_stop_signal) for part in parts]

    def disown(self) -> None:
        """Let the servers and their data outlive this program. Afterwards this object does not know them."""
        for broker in self.brokers:
            broker.disown()
        if self.postgres is not None:
            self.postgres.disown()
        if self._started_in is not None:
            self._watchdog.unwatch_directory(self._started_in)
            self._started_in = None
        self.kafka = self.postgres = None
        self._watchdog.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        software = find_kafka(self._say) if self._external_bootstrap_servers is None else None
        programs = find_postgres() if self._external_database_url is None else None
        directory = self._create_directory()
        # PostgreSQL creates its data while Java starts.
        if software is not None:
            self.kafka = KafkaCluster(
                directory,
                software,
                brokers=self._brokers,
                heap=self._kafka_heap,
                settings=self._kafka_settings,
                java_options=self._kafka_java_options,
                proxy_ports=self._kafka_proxy_ports,
                watchdog=self._watchdog,
            )
            self.kafka.launch()
        if programs is not None:
            self.postgres = PostgresServer(
                directory / "postgres", programs, settings=self._postgres_settings, watchdog=self._watchdog
            )
            self.postgres.start()
        if self.kafka is not None:
            self.kafka.wait_until_started()

    def _create_directory(self) -> Path:
        if self._directory is None:
            directory = Path(tempfile.mkdtemp(prefix="tracker-stack-"))
        elif self._directory.exists() and any(self._directory.iterdir()):
            raise StackError(f"The folder {self._directory} for the stack's data is not empty.")
        else:
            directory = self._directory
            directory.mkdir(parents=True, exist_ok=True)
        self._started_in = directory
        self._watchdog.watch_directory(directory)
        # PostgreSQL may run as another user, which must be able to enter its own folder in this one.
        directory.chmod(0o711)
        return directory
