"""A Kafka cluster of one or more brokers on this machine, each of which is a controller too."""

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
    """Return a new unique ID as Kafka writes them."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


@dataclass(frozen=True)
class KafkaSoftware:
    """What it takes to run a broker."""

    java: Path
    jars: tuple[Path, ...]
    # What `StorageTool format` writes for this version: the features that a new cluster starts with.
    checkpoint: Path | None = None
    # Kafka's classes, parsed and checked beforehand: a broker then starts in 1.4 s instead of 2.5 s (2 cores,
    # JDK 17).
    class_archive: Path | None = None

    def command(self, *arguments: str | Path) -> list[str | Path]:
        """Return the command that runs Java with Kafka's classes."""
        jars = ":".join(str(jar) for jar in self.jars)
        logging = Path(__file__).with_name("log4j2.properties")
        return [self.java, "-cp", jars, f"-Dlog4j2.configurationFile={logging}", *arguments]


@dataclass(frozen=True)
class ClusterPlan:
    """What the brokers of a cluster have in common."""

    software: KafkaSoftware
    client_ports: tuple[int, ...]
    controller_ports: tuple[int, ...]
    heap: str = "1g"
    settings: Mapping[str, str] = field(default_factory=dict)
    java_options: Sequence[str] = ()
    # Of a second listener of each broker, which sends clients to a proxy in front of it; none by default.
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
            # The defaults of 50 partitions each are for large clusters, and cost seconds when they are first
            # used.
            "offsets.topic.num.partitions": "4",
            "offsets.topic.replication.factor": str(replicas),
            "transaction.state.log.num.partitions": "4",
            "transaction.state.log.replication.factor": str(replicas),
            "transaction.state.log.min.isr": in_sync,
            "share.coordinator.state.topic.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": str(replicas),
            "share.coordinator.state.topic.min.isr": in_sync,
            "group.initial.rebalance.delay.ms": "0",
            # With the group protocol `consumer` it is the brokers that decide these: 5 s and 45 s by default.
            "group.consumer.min.heartbeat.interval.ms": "100",
            "group.consumer.heartbeat.interval.ms": "500",
            "group.consumer.min.session.timeout.ms": "1000",
            "group.consumer.session.timeout.ms": "10000",
            # A broker that was killed cannot come back before its session has ended: 9 s by default.
            "broker.session.timeout.ms": "4000",
            "broker.heartbeat.interval.ms": "1000",
            # 128 MB of heap by default, to compact topics far larger than these.
            "log.cleaner.dedupe.buffer.size": "16777216",
        } | dict(self.settings)


class KafkaBroker:
    """One broker. It keeps its ports and its data over any number of starts, stops and kills."""

    # Ends it at once, for when its data is of no more use: a majority of brokers cannot shut down in an
    # orderly way.
    fast_stop_signal = signal.SIGKILL

    def __init__(
        self, directory: Path, node_id: int, plan: ClusterPlan, watchdog: Watchdog | None = None
    ) -> None:
        self.directory = directory
        self.node_id = node_id
        self.address = f"127.0.0.1:{plan.client_ports[node_id - 1]}"
        # Where a proxy in front of this broker is to lead to.
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
        """The broker's process, safe to be signalled later. Raise StackError if the broker is not running."""
        return self._process.identity

    @property
    def pid(self) -> int:
        """The process ID. Raise StackError if the broker is not running."""
        return self._process.identity.pid

    @property
    def log(self) -> Path:
        """The file with all that the broker has logged."""
        return self._process.log

    def is_running(self) -> bool:
        """Say whether the broker's process was started and has not ended."""
        return self._process.is_running()

    def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start the broker and wait until it serves. A broker of a cluster does so only among a majority."""
        deadline = time.monotonic() + timeout_s
        self.launch()
        self.wait_until_started(deadline)

    def launch(self) -> None:
        """Start the broker and return at once; `wait_until_started` is to follow."""
        if not self.directory.exists():
            self._format()
        plan = self._plan
        options = [
            f"-Xmx{plan.heap}",
            # The quick compiler only. On 2 cores a broker then takes 1.6 s of CPU to start instead of 2.5,
            # and 3.8 s instead of 6 for the first 2 million messages of 800 bytes; after 6 million it is
            # still no slower.
            "-XX:TieredStopAtLevel=1",
            # Both leave files in the system's temporary folder behind when a broker is killed.
            "-XX:-UsePerfData",
            f"-Djava.io.tmpdir={self.directory / 'tmp'}",
            *plan.java_options,
        ]
        if plan.software.class_archive is not None:
            options.append(f"-XX:SharedArchiveFile={plan.software.class_archive}")
        command = plan.software.command(*options, "kafka.Kafka", self.directory / "server.properties")
        self._process.launch(command, clean_environment(), self.directory)

    def wait_until_started(self, deadline: float) -> None:
        """Wait until the broker serves. Raise StackError if it does not by then (`time.monotonic`)."""
        self._process.wait_for_log("Kafka Server started", deadline)

    def stop(self, timeout_s: float = 30.0) -> None:
        """Shut the broker down in an orderly way: it hands its leaderships over first."""
        self._process.stop(signal.SIGTERM, timeout_s)

    def kill(self) -> None:
        """Kill the broker with SIGKILL, and wait until it has gone."""
        self._process.kill()

    def disown(self) -> None:
        """Let the broker outlive this program; this object knows it no more."""
        self._process.disown()

    def _format(self) -> None:
        # Does what `StorageTool format` does, without the second and a half that a Java program takes.
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
    """Brokers that form one cluster, with as many replicas as there are brokers, and two in sync of three.

    `proxy_ports`: for each broker the port of a proxy that leads to the broker's `proxied_port`. Clients that
    come that way are told of the other brokers' proxies only, so that all their traffic goes through them.
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
        """Start all brokers with new data on free ports, and return; `wait_until_started` is to follow."""
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
        """Wait until all brokers serve clients. Start again with other ports if another program took one."""
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
        # A broker that serves may not have heard of the others yet, and would refuse a topic with as many
        # replicas.
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
                raise StackError("The Kafka brokers did not find one another in time.")


def write_properties(path: Path, properties: Mapping[str, str]) -> None:
    """Write a file of Java properties; the values must need no escapes."""
    path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
