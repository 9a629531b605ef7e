"""A Kafka cluster of one or more brokers on this machine, each also a controller."""

import base64
import shutil
import signal
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tracker.errors import StackError
from tracker.stack.lifetime import ProcessIdentity, Watchdog, wait_until
from tracker.stack.ports import free_ports
from tracker.stack.server import PortTaken, ServerProcess, clean_environment

START_TIMEOUT_S = 60.0
PORT_ATTEMPTS = 5


def kafka_uuid() -> str:
    """Return a new unique ID in Kafka's notation."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


@dataclass(frozen=True)
class KafkaSoftware:
    """The files that a broker needs."""

    java: Path
    jars: tuple[Path, ...]
    # The output of `StorageTool format` for this version: the features with which a new cluster starts.
    checkpoint: Path | None = None
    # Kafka's classes, parsed and checked in advance: with it, a broker starts in 1.4 s instead of 2.5 s (2
    # cores, JDK 17).
    class_archive: Path | None = None

    def command(self, *arguments: str | Path) -> list[str | Path]:
        """Return the command that runs Java with Kafka's classes."""
        jars = ":".join(str(jar) for jar in self.jars)
        logging = Path(__file__).with_name("log4j2.properties")
        return [self.java, "-cp", jars, f"-Dlog4j2.configurationFile={logging}", *arguments]


@dataclass(frozen=True)
class ClusterPlan:
    """The configuration that the brokers of a cluster share."""

    software: KafkaSoftware
    client_ports: tuple[int, ...]
    controller_ports: tuple[int, ...]
    heap: str = "1g"
    settings: Mapping[str, str] = field(default_factory=dict)
    java_options: Sequence[str] = ()
    # Ports of a second listener of each broker, which sends clients to the proxy before it; by default none.
    proxied_ports: tuple[int, ...] = ()
    proxy_ports: tuple[int, ...] = ()
    cluster_id: str = field(default_factory=kafka_uuid)

    def server_properties(self, node_id: int, data: Path) -> dict[str, str]:
        """Return the configuration of one broker; nodes are numbered from 1."""
        replicas = len(self.client_ports)
        in_sync = "2" if replicas > 2 else "1"
        clients = f"CLIENTS://127.0.0.1:{self.client_ports[node_id - 1]}"
        controller = f"CONTROLLER://127.0.0.1:{self.controller_ports[node_id - 1]}"
        voters = ",".join(
            f"{node}@127.0.0.1:{port}" for node, port in enumerate(self.controller_ports, start=1)
        )
        listeners, advertised = [clients, controller], [clients]
        if self.proxy_ports:
            listeners.append(f"PROXIED://127.0.0.1:{self.proxied_ports[node_id - 1]}")
            advertised.append(f"PROXIED://127.0.0.1:{self.proxy_ports[node_id - 1]}")
        return {
            "process.roles": "broker,controller",
            "node.id": str(node_id),
            "controller.quorum.voters": voters,
            "controller.listener.names": "CONTROLLER",
            "listeners": ",".join(listeners),
            "advertised.listeners": ",".join(advertised),
            "inter.broker.listener.name": "CLIENTS",
            "listener.security.protocol.map": "CLIENTS:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(data),
            "auto.create.topics.enable": "false",
            "default.replication.factor": str(replicas),
            "min.insync.replicas": in_sync,
            # The defaults, 50 Kafka partitions each, are for large clusters, and take seconds at first.
            "offsets.topic.num.partitions": "4",
            "offsets.topic.replication.factor": str(replicas),
            "transaction.state.log.num.partitions": "4",
            "transaction.state.log.replication.factor": str(replicas),
            "transaction.state.log.min.isr": in_sync,
            "share.coordinator.state.topic.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": str(replicas),
            "share.coordinator.state.topic.min.isr": in_sync,
            "group.initial.rebalance.delay.ms": "0",
            # With the group protocol `consumer`, the brokers decide these: 5 s and 45 s by default.
            "group.consumer.min.heartbeat.interval.ms": "100",
            "group.consumer.heartbeat.interval.ms": "500",
            "group.consumer.min.session.timeout.ms": "1000",
            "group.consumer.session.timeout.ms": "10000",
            # A killed broker cannot return before its session has ended: 9 s by default.
            "broker.session.timeout.ms": "4000",
            "broker.heartbeat.interval.ms": "1000",
            # By default 128 MB of heap, to compact much larger topics.
            "log.cleaner.dedupe.buffer.size": "16777216",
        } | dict(self.settings)


class KafkaBroker:
    """A broker. It keeps its ports and its data through any number of starts, stops and kills."""

    # Ends a broker at once when its data is not needed: a majority of brokers cannot shut down cleanly.
    fast_stop_signal = signal.SIGKILL

    def __init__(
        self, directory: Path, node_id: int, plan: ClusterPlan, watchdog: Watchdog | None = None
    ) -> None:
        self.directory = directory
        self.node_id = node_id
        self.address = f"127.0.0.1:{plan.client_ports[node_id - 1]}"
        # The port that a proxy before this broker connects to.
        self.proxied_port = plan.proxied_ports[node_id - 1] if plan.proxied_ports else None
        self._plan = plan
        self._process = ServerProcess(
            f"Kafka broker {node_id}",
            directory / "log",
            fast_stop_signal=self.fast_stop_signal,
            watchdog=watchdog,
        )

    @property
    def identity(self) -> ProcessIdentity:
        """The broker's process, which is safe to signal later.

        :raises StackError: the broker is not running.
        """
        return self._process.identity

    @property
    def pid(self) -> int:
        """The process ID.

        :raises StackError: the broker is not running.
        """
        return self._process.identity.pid

    @property
    def log(self) -> Path:
        """The broker's log file."""
        return self._process.log

    def is_running(self) -> bool:
        """Return whether the broker's process was started and has not ended."""
        return self._process.is_running()

    def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start the broker and wait until it serves. In a cluster, it serves only with a majority."""
        deadline = time.monotonic() + timeout_s
        self.launch()
        self.wait_until_started(deadline)

    def launch(self) -> None:
        """Start the broker and return at once; call `wait_until_started` next."""
        if not self.directory.exists():
            self._format()
        plan = self._plan
        options = [
            f"-Xmx{plan.heap}",
            # Only the quick compiler. On 2 cores, a broker then takes 1.6 s of CPU to start instead of 2.5,
            # and 3.8 s instead of 6 for the first 2 million messages of 800 bytes. After 6 million it is
            # still not slower.
            "-XX:TieredStopAtLevel=1",
            # Without these two, a killed broker leaves files in the system's temporary folder.
            "-XX:-UsePerfData",
            f"-Djava.io.tmpdir={self.directory / 'tmp'}",
            *plan.java_options,
        ]
        if plan.software.class_archive is not None:
            options.append(f"-XX:SharedArchiveFile={plan.software.class_archive}")
        command = plan.software.command(*options, "kafka.Kafka", self.directory / "server.properties")
        self._process.launch(command, clean_environment(), self.directory)

    def wait_until_started(self, deadline: float) -> None:
        """Wait until the broker serves.

        :raises StackError: it does not until the deadline (`time.monotonic`).
        """
        self._process.wait_for_log("Kafka Server started", deadline)

    def stop(self, timeout_s: float = 30.0) -> None:
        """Shut the broker down cleanly: it first hands over its leaderships."""
        self._process.stop(signal.SIGTERM, timeout_s)

    def kill(self) -> None:
        """Kill the broker with SIGKILL, and wait until it has gone."""
        self._process.kill()

    def disown(self) -> None:
        """Let the broker outlive this program. Afterwards this object does not know it any more."""
        self._process.disown()

    def _format(self) -> None:
        # The same as `StorageTool format`, without the 1.5 s that a Java program takes.
        data = self.directory / "data"
        data.mkdir(parents=True)
        (self.directory / "tmp").mkdir()
        write_properties(
            self.directory / "server.properties", self._plan.server_properties(self.node_id, data)
        )
        identity = {"version": "1", "cluster.id": self._plan.cluster_id, "node.id": str(self.node_id)}
        write_properties(data / "meta.properties", identity | {"directory.id": kafka_uuid()})
        if self._plan.software.checkpoint is not None:
            shutil.copyfile(self._plan.software.checkpoint, data / "bootstrap.checkpoint")


class KafkaCluster:
    """Brokers that form one cluster, with as many replicas as brokers; with three, two must be in sync.

    `proxy_ports`: for each broker, the port of a proxy that connects to the broker's `proxied_port`. Clients
    that come through a proxy learn only of the other brokers' proxies, so that all their traffic uses these.
    """

    def __init__(
        self,
        directory: Path,
        software: KafkaSoftware,
        *,
        brokers: int = 1,
        heap: str = "1g",
        settings: Mapping[str, str] | None = None,
        java_options: Sequence[str] = (),
        proxy_ports: Sequence[int] = (),
        watchdog: Watchdog | None = None,
    ) -> None:
        self._directory = directory
        self._software = software
        self._size = brokers
        self._heap = heap
        self._settings = settings or {}
        self._java_options = java_options
        self._proxy_ports = tuple(proxy_ports)
        self._watchdog = watchdog
        self.brokers: tuple[KafkaBroker, ...] = ()

    @property
    def bootstrap_servers(self) -> str:
        """The addresses of all brokers, for a client's `bootstrap.servers`."""
        return ",".join(broker.address for broker in self.brokers)

    def launch(self) -> None:
        """Start all brokers with new data on free ports, and return; call `wait_until_started` next."""
        size = self._size
        ports = free_ports(3 * size if self._proxy_ports else 2 * size)
        plan = ClusterPlan(
            self._software,
            tuple(ports[:size]),
            tuple(ports[size : 2 * size]),
            self._heap,
            self._settings,
            self._java_options,
            proxied_ports=tuple(ports[2 * size :]),
            proxy_ports=self._proxy_ports,
        )
        nodes = range(1, self._size + 1)
        self.brokers = tuple(
            KafkaBroker(self._directory / f"kafka-{node}", node, plan, self._watchdog) for node in nodes
        )
        for broker in self.brokers:
            broker.launch()

    def wait_until_started(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until all brokers serve clients. If another program has taken a port, start them on others."""
        for attempt in range(PORT_ATTEMPTS):
            try:
                self._wait_for_all(time.monotonic() + timeout_s)
            except PortTaken:
                self.kill()
                if attempt + 1 == PORT_ATTEMPTS:
                    raise
                for broker in self.brokers:
                    shutil.rmtree(broker.directory)
                self.launch()
            else:
                return

    def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start all brokers with new data on free ports, and wait until they serve clients."""
        self.launch()
        self.wait_until_started(timeout_s)

    def kill(self) -> None:
        """Kill all brokers with SIGKILL and wait until they have gone."""
        for broker in self.brokers:
            broker.kill()

    def _wait_for_all(self, deadline: float) -> None:
        for broker in self.brokers:
            broker.wait_until_started(deadline)
        self._wait_for_membership(deadline)

    def _wait_for_membership(self, deadline: float) -> None:
        # A broker that serves may not know the others yet, and would refuse a topic with as many replicas.
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        def all_known() -> bool:
            try:
                return len(admin.list_topics(timeout=1.0).brokers) == self._size
            except KafkaException:
                return False

        for broker in self.brokers:
            admin = AdminClient({"bootstrap.servers": broker.address})
            if not wait_until(all_known, deadline - time.monotonic()):
                raise StackError("The Kafka brokers did not find each other in time.")


def write_properties(path: Path, properties: Mapping[str, str]) -> None:
    """Write a file of Java properties; the values must not need escapes."""
    path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
