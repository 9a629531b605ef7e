"""One round: a deployment, the jobs of a seed, and workers that answer as they are told to."""

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

from tests.acceptance.deployment import Deployment
from tests.acceptance.kafka import Received, wait_until
from tests.faults.ghosts import GHOST, Ghosts
from tests.faults.letters import USUAL_BYTES, source_of
from tests.faults.login import Login
from tests.faults.members import Process
from tests.faults.operator import Operator
from tests.faults.player import NUMBER, Player, StandsStill, Step, run_of
from tests.faults.program_settings import ASK_AGAIN_S
from tests.faults.reader import Reader, Watcher
from tests.faults.site import Site
from tests.faults.topics import new_topics
from tests.faults.workload import Job, Workload
from tests.profile import GROUP_PROTOCOL, PROTOCOL_VARIABLE, member_settings
from tracker.lifeline import ExitStatus
from tracker.store.connect import connect

SETTINGS = {
    "TRACKER_BATCH_SIZE": "200",
    "TRACKER_KAFKA_PRODUCER_TRANSACTION_TIMEOUT_MS": "3000",
    "TRACKER_KAFKA_RECONNECT_BACKOFF_MAX_MS": "500",
    "TRACKER_LOG_FORMAT": "json",
}


class Wrong(AssertionError):
    """What was found to be wrong in a round: `problems` has a sentence for each, the text all one needs."""

    def __init__(self, report: str, problems: list[str]) -> None:
        super().__init__(report)
        self.problems = problems


class Round:
    """Plays the jobs of a seed on a site, and keeps what the checker needs.

    `start` starts processes; `playing` plays while the block does what it likes to them; `drain` waits for
    the end of it. `problems` are what was seen to be wrong meanwhile.
    """

    def __init__(
        self,
        site: Site,
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
        self.site, self.seed, self.propagate, self.pooler = site, seed, propagate, pooler
        site.lead_through_pooler(pooler)
        self.problems: list[str] = []
        self.is_played = False
        self.processes: list[Process] = []
        self.notes: list[str] = []  # what befell it
        self.whole_from = 0  # from this record on dead letters have all the room that they usually have
        self._took_little_monotonic_s: float | None = None
        self._folder, self._bug = folder, bug
        self.suffix, self.topics = new_topics()
        self.deployment = self._deploy(kafka_partitions, tablespace, variables)
        through = site.variables(self.deployment.database_url)
        self._bootstrap_servers = through["TRACKER_KAFKA_BOOTSTRAP_SERVERS"]
        url_file = folder / f"database-url{self.suffix}"
        self.login = Login(self.deployment.database_url, through["TRACKER_DATABASE_URL"], url_file)
        self._seen: Counter[tuple[str, str]] = Counter()
        places = [(topic, 0) for topic in (self.topics.work, self.topics.results, self.topics.dead_letters)]
        self.reader = Reader(site.bootstrap_servers, places, self._on_read)
        group_id, url = self.deployment.group_id, self.deployment.database_url
        tracking = [(self.topics.tracking, number) for number in range(kafka_partitions)]
        self.watcher = Watcher(site.bootstrap_servers, group_id, tracking, url)
        self.operator = Operator(url, self.problems.append)
        workload = Workload(seed, propagate=propagate)
        self.player = Player(
            site.bootstrap_servers,
            self.topics,
            self.suffix,
            workload,
            self.operator,
            self.watcher,
            self.problems.append,
        )
        self.ghosts = Ghosts(site.bootstrap_servers, self.topics, NUMBER, seed, lambda: self.player.told_of)

    @property
    def enough(self) -> threading.Event:
        """Set: no more jobs are begun."""
        return self.player.enough

    @property
    def jobs(self) -> dict[str, Job]:
        """The jobs that were submitted."""
        return self.player.jobs

    @property
    def steps(self) -> list[Step]:
        """What was done to jobs, between which records."""
        return self.player.steps

    @property
    def sent(self) -> int:
        """How many records were sent."""
        return self.player.sent

    def _deploy(self, kafka_partitions: int, tablespace: str, variables: dict[str, str]) -> Deployment:
        topics = self.topics
        member = member_settings(variables.get(PROTOCOL_VARIABLE, GROUP_PROTOCOL), SESSION_TIMEOUT_MS="2000")
        deployment = Deployment(
            self.site.bootstrap_servers,
            self.site.new_database(tablespace),
            topics,
            **(SETTINGS | member | {"TRACKER_PROPAGATE_FAILURES": str(self.propagate).lower()} | variables),
        )
        kafka = deployment.kafka
        kafka.create({topics.work: 1, topics.dead_letters: 1, topics.tracking: kafka_partitions})
        kafka.create_unreplicated(topics.results)  # one that a single broker's death takes away
        # The controller has made them; the brokers hear of it a moment later.
        wait_until(lambda: set(topics) <= set(kafka.admin.list_topics(timeout=10).topics), "topics known")
        return deployment

    def note(self, what: str) -> None:
        """Keep what befalls the round, for whoever has to find out what went wrong."""
        now = datetime.now(UTC)
        self.notes.append(f"{now:%H:%M:%S.%f} {what}; {self.sent} sent, {self.watcher.processed} processed")
        with (self._folder / "notes.log").open("a") as file:
            print(self.notes[-1], file=file)

    # Processes

    def start(self, what: str, *, fail: str = "", clock_offset_s: int = 0, **variables: str) -> Process:
        """Start a process of the tracker, which reaches its servers through the proxies."""
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

    def dead_letters_have(self, most_bytes: int) -> None:
        """Have the dead-letter topic take so much.

        :raises KafkaException: no broker says that it does.
        """
        self.note(f"dead letters have {most_bytes} bytes at most")
        self.whole_from = GHOST
        self._took_little_monotonic_s = time.monotonic()
        entry = ConfigEntry("max.message.bytes", str(most_bytes), incremental_operation=AlterConfigOpType.SET)
        topic = ConfigResource(
            ConfigResource.Type.TOPIC, self.topics.dead_letters, incremental_configs=[entry]
        )
        for changed in self.deployment.kafka.admin.incremental_alter_configs(
            [topic], request_timeout=5
        ).values():
            changed.result(timeout=10)

    def restore(self) -> None:
        """Put right what operators have changed, once the servers are there."""
        self.login.restore()
        if self._took_little_monotonic_s is not None:
            self.dead_letters_have(USUAL_BYTES)

    def wait_for_log(self, process: Process, event: str, **fields: object) -> None:
        """Wait until a process has logged an event."""

        def logged() -> bool:
            assert process.is_running, process.tail()
            return process.has_logged(event, **fields)

        wait_until(logged, f"{process.what}: {event} {fields}")

    def wait_until_all_assigned_to(self, process: Process) -> None:
        """Wait until a worker has all Kafka partitions."""
        self.wait_for_log(process, "Kafka partitions assigned", assigned=len(self.watcher.places))

    def terminate_backends(self, application_name: str) -> int:
        """End the database sessions of that name; return how many there were."""
        rows = self.deployment.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = %s",
            application_name,
        )
        return len(rows)

    def stop(self) -> None:
        """Stop the processes that run; each must end well, and none may have given up by itself."""
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
        """End everything."""
        for process in self.processes:
            process.end()
        self.site.heal()
        self.ghosts.close()
        self.operator.close()
        self.watcher.close()
        self.reader.close()
        self.deployment.close()

    # Playing

    @contextmanager
    def playing(self, messages: int, timeout_s: float = 45.0) -> Iterator[None]:
        """Play while the block lasts, and until there is no more to play; then the site is healed."""
        over = threading.Event()
        errors: list[BaseException] = []
        player = threading.Thread(target=self._guarded, args=[messages, over, errors], name="player")
        player.start()
        try:
            yield
            self.site.heal()
            deadline = time.monotonic() + timeout_s
            while player.is_alive() and time.monotonic() < deadline and not self.problems:
                player.join(0.1)
        finally:
            over.set()
            player.join()
        if self.problems:
            raise self.wrong("while it happened", self.problems)
        for error in errors:
            raise error

    def _guarded(self, messages: int, over: threading.Event, errors: list[BaseException]) -> None:
        try:
            self.player.play(messages, over)
        except StandsStill as stands:
            errors.append(
                self.wrong(
                    "when nothing moved any more",
                    [f"{what}: {', '.join(names[:10])}" for what, names in stands.jobs.items() if names],
                )
            )
        except BaseException as error:  # noqa: BLE001 - raised by whoever waits for it
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
        if number is not None and int(number) >= GHOST:
            self.problems.append(f"a record was forwarded whose transaction was aborted: {record}")
        self._seen[what] += 1
        if self._seen[what] > 1:
            self.problems.append(f"{what[0]} {what[1]} was read twice: {record[:2]} at {record.offset}")

    # The end

    def drain(self, timeout_s: float = 60.0) -> float:
        """Wait until all is processed, sent and read; return how long that took."""
        began = time.monotonic()
        self.ghosts.close()
        if self._took_little_monotonic_s is not None:
            # The tracker asks its topic again, soon.
            time.sleep(max(0.0, self._took_little_monotonic_s + 2 * ASK_AGAIN_S - time.monotonic()))
        self.whole_from = self.sent
        self.player.send_bad_records()
        self.player.flush(timeout_s)
        self.ghosts.haunt_all(self.watcher.places)
        self._connect_again()
        deployment = self.deployment
        deployment.wait_until_processed(timeout_s)
        deployment.wait_until_sent(timeout_s)
        ends: dict[tuple[str, int], int] = {}

        def decided() -> bool:
            nonlocal ends
            ends = deployment.kafka.ends(*self.topics)
            return ends == deployment.kafka.ends(*self.topics, committed=True)

        wait_until(decided, "no open transaction", timeout_s)
        wait_until(
            lambda: all(at >= ends[place] for place, at in self.reader.positions.items()),
            "all read",
            timeout_s,
        )
        return time.monotonic() - began

    def _connect_again(self) -> None:
        self.deployment.database.close()  # its server may have been away
        self.deployment.database = connect(self.deployment.database_url, autocommit=True)

    def settle(self) -> None:
        """Where a round was cut short: resume the jobs that were to be, and let users' calls end."""
        self.ghosts.close()
        self._connect_again()
        self.player.settle()

    def wrong(self, when: str, problems: Iterable[str]) -> Wrong:
        """Make an error of what is wrong, with what befell the round, and the ends of the processes' logs."""
        found = list(problems)
        shown = "\n".join(found[:20])
        for each in self.processes:
            if each.what != "run" and each.is_running:
                each.tell_where_it_is()
        logs = "\n".join(f"--- {each.what} ({each.pid})\n{each.tail()}" for each in self.processes[-6:])
        befell = "\n".join(self.notes[-20:])
        return Wrong(
            f"seed {self.seed}, {len(found)} problems {when}:\n{shown}\n--- what befell it\n{befell}\n{logs}",
            found,
        )
