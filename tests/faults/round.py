"""One round: a deployment of the tracker, and the jobs of a seed that are played on it."""

import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

from tests.faults.aborting_producer import FIRST_ABORTED, AbortingProducer
from tests.faults.client_thread import ClientThread
from tests.faults.cluster import Cluster
from tests.faults.dead_letters import DEFAULT_LIMIT_BYTES, source_of
from tests.faults.login import Login
from tests.faults.members import Process
from tests.faults.planted import plant_in_commands, remove_planted
from tests.faults.player import NUMBER, Player, Stalled, UserAction, run_of
from tests.faults.program_settings import ASK_AGAIN_S
from tests.faults.reader import Reader, Watcher
from tests.faults.replayer import Replayer
from tests.faults.topics import new_topics
from tests.faults.workload import Job, Workload
from tests.support.deployment import Deployment
from tests.support.kafka import Received, wait_until
from tests.support.profile import GROUP_PROTOCOL, PROTOCOL_VARIABLE, member_settings
from tracker.lifeline import ExitStatus
from tracker.store.connect import connect

SETTINGS = {
    "TRACKER_BATCH_SIZE": "200",
    "TRACKER_KAFKA_PRODUCER_TRANSACTION_TIMEOUT_MS": "3000",
    "TRACKER_KAFKA_RECONNECT_BACKOFF_MAX_MS": "500",
    "TRACKER_LOG_FORMAT": "json",
}


class RoundFailed(AssertionError):
    """A round failed. `problems` has a sentence for each problem; the text has the logs too."""

    def __init__(self, report: str, problems: list[str]) -> None:
        super().__init__(report)
        self.problems = problems


class Round:
    """Plays the jobs of a seed on a cluster, and keeps what the checker needs.

    `start` starts processes. `playing` plays while the block does anything to them. `drain` waits until
    everything is processed. `problems` are those that show while the round runs.
    """

    def __init__(
        self,
        cluster: Cluster,
        folder: Path,
        seed: int,
        *,
        kafka_partitions: int = 3,
        propagate: bool = False,
        bug: str = "",
        tablespace: str = "pg_default",
        pooler: bool = False,
        **variables: str,
    ) -> None:
        self.cluster, self.seed, self.propagate, self.pooler = cluster, seed, propagate, pooler
        cluster.route_through_pooler(pooler)
        self.problems: list[str] = []
        self.is_played = False
        self.processes: list[Process] = []
        self.notes: list[str] = []  # what happened to it
        self.uncut_from = 0  # from this record on, dead letters have their default limit
        self._limited_monotonic_s: float | None = None
        self._folder, self._bug = folder, bug
        self.suffix, self.topics = new_topics()
        self.deployment = self._deploy(kafka_partitions, tablespace, variables)
        through = cluster.variables(self.deployment.database_url)
        self._bootstrap_servers = through["TRACKER_KAFKA_BOOTSTRAP_SERVERS"]
        url_file = folder / f"database-url{self.suffix}"
        self.login = Login(self.deployment.database_url, through["TRACKER_DATABASE_URL"], url_file)
        self._seen: Counter[tuple[str, str]] = Counter()
        read = [(topic, 0) for topic in (self.topics.work, self.topics.results, self.topics.dead_letters)]
        self.reader = Reader(cluster.bootstrap_servers, read, self._on_read)
        group_id, url = self.deployment.group_id, self.deployment.database_url
        tracking = [(self.topics.tracking, number) for number in range(kafka_partitions)]
        self.watcher = Watcher(cluster.bootstrap_servers, group_id, tracking, url)
        plant_in_commands(bug)
        self.client_thread = ClientThread(url, self.problems.append)
        self.late_topics: list[str] = []
        self.replayer = Replayer(self.deployment, self._on_created, self._has_arrived, self.problems.append)
        workload = Workload(seed, propagate=propagate)
        self.player = Player(
            cluster.bootstrap_servers,
            self.topics,
            self.suffix,
            workload,
            self.client_thread,
            self.watcher,
            self.problems.append,
            self.replayer,
        )
        self.aborting_producer = AbortingProducer(
            cluster.bootstrap_servers, self.topics, NUMBER, seed, lambda: self.player.jobs_in_progress
        )

    @property
    def stop_submitting(self) -> threading.Event:
        """Set: the jobs in progress are the last ones."""
        return self.player.stop_submitting

    @property
    def jobs(self) -> dict[str, Job]:
        """The jobs that were submitted, by name."""
        return self.player.jobs

    @property
    def user_actions(self) -> list[UserAction]:
        """What users did to jobs, and between which records."""
        return self.player.user_actions

    @property
    def sent(self) -> int:
        """How many records are sent."""
        return self.player.sent

    def _deploy(self, kafka_partitions: int, tablespace: str, variables: dict[str, str]) -> Deployment:
        topics = self.topics
        member = member_settings(variables.get(PROTOCOL_VARIABLE, GROUP_PROTOCOL), SESSION_TIMEOUT_MS="2000")
        deployment = Deployment(
            self.cluster.bootstrap_servers,
            self.cluster.new_database(tablespace),
            topics,
            **(SETTINGS | member | {"TRACKER_PROPAGATE_FAILURES": str(self.propagate).lower()} | variables),
        )
        kafka = deployment.kafka
        kafka.create({topics.work: 1, topics.dead_letters: 1, topics.tracking: kafka_partitions})
        kafka.create_unreplicated(topics.results)  # one broker's death makes it unavailable
        # The controller has created them; the brokers know a moment later.
        wait_until(lambda: set(topics) <= set(kafka.admin.list_topics(timeout=10).topics), "topics known")
        return deployment

    def note(self, what: str) -> None:
        """Keep what happens to the round, for the report of a failure and in the folder's notes.log."""
        now = datetime.now(UTC)
        self.notes.append(f"{now:%H:%M:%S.%f} {what}; {self.sent} sent, {self.watcher.processed} processed")
        with (self._folder / "notes.log").open("a") as file:
            print(self.notes[-1], file=file)

    # Processes

    def start(self, what: str, *, fail: str = "", clock_offset_s: int = 0, **variables: str) -> Process:
        """Start a process of the tracker. It reaches the servers through the proxies."""
        through = {"TRACKER_KAFKA_BOOTSTRAP_SERVERS": self._bootstrap_servers, **self.login.variables()}
        process = Process(
            what,
            self.deployment.variables | through | variables,
            self._folder / f"{what.replace(' ', '-')}-{uuid.uuid4().hex[:6]}.log",
            fail=fail,
            bug=self._bug,
            clock_offset_s=clock_offset_s,
        )
        self.processes.append(process)
        return process

    def limit_dead_letters(self, most_bytes: int) -> None:
        """Set the size of the records that the dead-letter topic takes.

        :raises KafkaException: no broker has confirmed it.
        """
        self.note(f"the dead-letter topic takes at most {most_bytes} bytes")
        self.uncut_from = FIRST_ABORTED
        self._limited_monotonic_s = time.monotonic()
        entry = ConfigEntry("max.message.bytes", str(most_bytes), incremental_operation=AlterConfigOpType.SET)
        topic = ConfigResource(
            ConfigResource.Type.TOPIC, self.topics.dead_letters, incremental_configs=[entry]
        )
        for changed in self.deployment.kafka.admin.incremental_alter_configs(
            [topic], request_timeout=5
        ).values():
            changed.result(timeout=10)

    def restore(self) -> None:
        """Undo the changes of operators. The servers must be there."""
        self.login.restore()
        if self._limited_monotonic_s is not None:
            self.limit_dead_letters(DEFAULT_LIMIT_BYTES)

    def wait_for_log(self, process: Process, event: str, **fields: object) -> None:
        """Wait until a process has logged an event."""

        def logged() -> bool:
            assert process.is_running, process.tail()
            return process.has_logged(event, **fields)

        wait_until(logged, f"{process.what}: {event} {fields}")

    def wait_until_all_assigned_to(self, process: Process) -> None:
        """Wait until a worker has all Kafka partitions of the tracking topic."""
        self.wait_for_log(process, "Kafka partitions assigned", assigned=len(self.watcher.kafka_partitions))

    def terminate_backends(self, application_name: str) -> int:
        """End the database sessions with this application name, and return their number."""
        rows = self.deployment.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = %s",
            application_name,
        )
        return len(rows)

    def stop(self) -> None:
        """Stop the running processes in order, and check that none failed and none has given up by itself."""
        for process in self.processes:
            if process.is_running:
                process.stop()
            else:
                status = process.wait_for_end()
                restarted = status == ExitStatus.FAILED and not process.has_logged("unexpected error")
                assert restarted or status in (0, -signal.SIGKILL), (
                    f"{process.what} gave up: {status}\n{process.tail()}"
                )

    def close(self) -> None:
        """Kill the processes, and close everything."""
        for process in self.processes:
            process.end()
        self.cluster.heal()
        self.aborting_producer.close()
        self.replayer.close()
        self.client_thread.close()
        remove_planted()
        self.watcher.close()
        self.reader.close()
        self.deployment.close()

    # Playing

    @contextmanager
    def playing(self, messages: int, timeout_s: float = 45.0) -> Iterator[None]:
        """Play while the block runs. Then heal the cluster, and play until all jobs are over.

        :raises RoundFailed: there is a problem, or the jobs are not over after the timeout.
        """
        stop = threading.Event()
        errors: list[BaseException] = []
        player = threading.Thread(target=self._guarded, args=[messages, stop, errors], name="player")
        player.start()
        try:
            yield
            self.cluster.heal()
            deadline = time.monotonic() + timeout_s
            while player.is_alive() and time.monotonic() < deadline and not self.problems:
                player.join(0.1)
        finally:
            stop.set()
            player.join()
        if self.problems:
            raise self.failure("while it ran", self.problems)
        for error in errors:
            raise error

    def _guarded(self, messages: int, stop: threading.Event, errors: list[BaseException]) -> None:
        try:
            self.player.play(messages, stop)
        except Stalled as stalled:
            errors.append(
                self.failure(
                    "after it stalled",
                    [f"{what}: {', '.join(names[:10])}" for what, names in stalled.jobs.items() if names],
                )
            )
        except BaseException as error:  # noqa: BLE001 - `playing` raises it
            errors.append(error)
        finally:
            self.is_played = True

    def _on_read(self, record: Received) -> None:
        number = record.header(NUMBER)
        if record.topic == self.topics.dead_letters:
            what = ("the dead letter of", str(source_of(record)))
        elif number is None:
            what = ("start", f"{record.task} of run {run_of(record.json)}")
            self.player.started(str(record.task), record.json)
        else:
            what = ("record", number)
        if number is not None and int(number) >= FIRST_ABORTED:
            self.problems.append(f"a record was forwarded whose transaction was aborted: {record}")
        self._seen[what] += 1
        if self._seen[what] > 1:
            self.problems.append(f"{what[0]} {what[1]} was read twice: {record[:2]} at {record.offset}")

    def _has_arrived(self, number: int) -> bool:
        return self._seen["record", str(number)] > 0

    def _on_created(self, topic: str) -> None:
        """Read a topic too that has just been created."""
        if topic not in self.late_topics:
            self.late_topics.append(topic)
            self.reader.add((topic, 0))

    # The end

    def drain(self, timeout_s: float = 60.0) -> float:
        """Wait until everything is processed, sent and read; return the seconds that it took."""
        began = time.monotonic()
        self.aborting_producer.close()
        if self._limited_monotonic_s is not None:
            # Workers read the topic's limit again, soon.
            time.sleep(max(0.0, self._limited_monotonic_s + 2 * ASK_AGAIN_S - time.monotonic()))
        self.uncut_from = self.sent
        self.player.send_bad_records()
        self.player.flush(timeout_s)
        self.aborting_producer.end_with_aborted(self.watcher.kafka_partitions)
        self._connect_again()
        deployment = self.deployment
        deployment.wait_until_processed(timeout_s)
        deployment.wait_until_sent(timeout_s)
        ends: dict[tuple[str, int], int] = {}

        def decided() -> bool:
            nonlocal ends
            topics = [*self.topics, *self.late_topics]
            ends = deployment.kafka.ends(*topics)
            return ends == deployment.kafka.ends(*topics, committed=True)

        wait_until(decided, "no open transaction", timeout_s)
        wait_until(
            lambda: all(at >= ends[each] for each, at in list(self.reader.positions.items())),
            "all read",
            timeout_s,
        )
        return time.monotonic() - began

    def _connect_again(self) -> None:
        self.deployment.database.close()  # PostgreSQL may have been away
        self.deployment.database = connect(self.deployment.database_url, autocommit=True)

    def finish_user_actions(self) -> None:
        """Finish the user actions of a round that was cut short, so that it can come to rest."""
        self.aborting_producer.close()
        self._connect_again()
        self.player.finish_user_actions()

    def failure(self, when: str, problems: Iterable[str]) -> RoundFailed:
        """Return an error with the problems, what happened to the round, and the ends of the logs."""
        found = list(problems)
        shown = "\n".join(found[:20])
        for each in self.processes:
            if each.what != "run" and each.is_running:
                each.dump_stacks()
        logs = "\n".join(f"--- {each.what} ({each.pid})\n{each.tail()}" for each in self.processes[-6:])
        notes = "\n".join(self.notes[-20:])
        summary = f"seed {self.seed}, {len(found)} problems {when}:\n{shown}"
        return RoundFailed(f"{summary}\n--- what happened to it\n{notes}\n{logs}", found)
