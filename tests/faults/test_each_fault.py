"""Each fault alone."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.faults.checker import check
from tests.faults.cluster import Cluster, start_cluster
from tests.faults.conftest import NewRound
from tests.faults.fault_injector import FaultInjector
from tests.faults.registry import FAULTS, NEEDS
from tests.faults.round import Round
from tests.support.kafka import wait_until

MESSAGES = 300
SECONDS = 2.5  # longer than the session timeout of the rounds

ALWAYS = {"another machine and its supervisor killed", "postgres ended at once"}


def by_weight(names: list[str]) -> list[object]:
    """Leave all but the most telling faults to long test runs."""
    return [name if name in ALWAYS else pytest.param(name, marks=pytest.mark.soak) for name in names]


def play_with(a_round: Round, fault: Callable[[FaultInjector], object]) -> None:
    """Play a round with one fault, then check it."""
    injector = FaultInjector(a_round, seed=1)
    injector.start_members()
    try:
        with a_round.playing(MESSAGES, timeout_s=1.0):
            injector.wait(20.0, until=lambda: a_round.watcher.processed > 0)
            fault(injector)
            injector.heal(40.0)
        a_round.drain()
        check(a_round)
        a_round.stop()
    finally:
        injector.restore()


@pytest.mark.parametrize("name", by_weight(sorted(FAULTS.keys() - NEEDS.keys())))
def test_a_fault(new_round: NewRound, name: str) -> None:
    play_with(new_round(TRACKER_BATCH_SIZE="25"), lambda injector: injector.inject([name], SECONDS))


@pytest.mark.parametrize(
    "name",
    [
        "the pooler ended at once",
        *(
            pytest.param(name, marks=pytest.mark.soak)
            for name in ("postgres ended at once", "sessions terminated", "a role that may only read")
        ),
    ],
)
def test_a_fault_with_a_pooler(new_round: NewRound, name: str) -> None:
    """PgBouncer is between the tracker and PostgreSQL."""
    a_round = new_round(TRACKER_BATCH_SIZE="25", pooler=True)
    play_with(a_round, lambda injector: injector.inject([name], SECONDS))


REQUESTS = [
    pytest.param(name, before, stay_down, marks=[] if weight else pytest.mark.soak)
    for name in ("COMMIT", "EndTxn", "TxnOffsetCommit")
    for before in (False, True)
    for stay_down in (False, True)
    for weight in [name != "TxnOffsetCommit" and stay_down and not before]
]


@pytest.mark.parametrize(("request_name", "before", "stay_down"), REQUESTS)
def test_a_request_whose_outcome_nobody_learns(
    new_round: NewRound, request_name: str, before: bool, stay_down: bool
) -> None:
    """If the servers stay down, the worker that asked dies too, and another one has to find out."""

    def cut(injector: FaultInjector) -> None:
        kafka, postgres = injector.cluster.kafka_proxies[0], injector.cluster.postgres_proxy
        proxy = postgres if request_name == "COMMIT" else kafka
        proxy.trap(request_name, before=before, stay_down=stay_down).wait()
        if stay_down:
            injector.members["worker 0"].kill()
            injector.members["worker 1"].kill()
        injector.cluster.heal()

    play_with(new_round(TRACKER_BATCH_SIZE="25"), cut)


FIRST_REQUESTS = [
    pytest.param(what, name, skip, marks=[] if name == "COMMIT" and not skip else pytest.mark.soak)
    for what, requests in {
        "worker 0": {"Q": 2, "S": 1, "COMMIT": 1},
        "scheduler": {"Q": 3, "S": 3, "COMMIT": 2},
    }.items()
    for name, count in requests.items()
    for skip in range(count)
]


@pytest.mark.parametrize(("what", "request_name", "skip"), FIRST_REQUESTS)
def test_postgres_goes_away_while_a_member_starts(
    new_round: NewRound, what: str, request_name: str, skip: int
) -> None:
    """At each of its first requests."""
    a_round = new_round()
    trap = a_round.cluster.postgres_proxy.trap(request_name, skip=skip)
    member = a_round.start(what)
    trap.wait()
    a_round.wait_for_log(member, "scheduler active" if what == "scheduler" else "Kafka partitions assigned")
    assert not member.has_logged("unexpected error"), member.tail()
    member.stop()


def test_a_scheduler_that_starts_while_postgres_can_only_be_read(new_round: NewRound) -> None:
    """It is connected, and does not know yet which database this is."""
    a_round = new_round()
    a_round.start("worker 0")
    first = a_round.start("scheduler")
    injector = FaultInjector(a_round, seed=1)
    with a_round.playing(MESSAGES):
        wait_until(lambda: a_round.watcher.processed > 0, "jobs to start")
        first.stop()
        with contextmanager(FAULTS["read only"])(injector):
            second = a_round.start("scheduler")
            waits = "waiting for PostgreSQL"
            wait_until(lambda: waits in [line["event"] for line in second.lines()], waits)
    a_round.drain()
    check(a_round)
    a_round.stop()


@pytest.mark.parametrize(
    "offset_s",
    [3_600, pytest.param(-3_600, marks=pytest.mark.soak), pytest.param(-48 * 3_600, marks=pytest.mark.soak)],
)
def test_a_worker_whose_clock_is_wrong(new_round: NewRound, offset_s: int) -> None:
    a_round = new_round(TRACKER_BATCH_SIZE="25")
    a_round.start("worker 0", clock_offset_s=offset_s)
    a_round.start("scheduler", clock_offset_s=min(3_600, -offset_s))
    with a_round.playing(MESSAGES):
        pass
    a_round.drain()
    check(a_round)
    a_round.stop()


@contextmanager
def small_disk(cluster: Cluster, folder: Path) -> Iterator[str]:
    """A tablespace on a disk of 64 MB. Needs root."""
    assert cluster.stack.postgres is not None
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], check=True)
    try:
        data = disk / "data"
        data.mkdir()
        owner = cluster.stack.postgres.directory.stat()
        os.chown(data, owner.st_uid, owner.st_gid)
        for parent in list(disk.parents)[:-2]:
            parent.chmod(parent.stat().st_mode | 0o011)
        create = sql.SQL("CREATE TABLESPACE small LOCATION {}").format(sql.Literal(str(data)))
        with psycopg.connect(cluster.stack.database_url, autocommit=True) as database:
            database.execute(create)
            yield "small"
            database.execute("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.soak
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="only root can mount a disk")
def test_a_disk_that_is_full(one_broker: Cluster, tmp_path: Path) -> None:
    with small_disk(one_broker, tmp_path) as tablespace:
        a_round = Round(one_broker, tmp_path, 1, TRACKER_BATCH_SIZE="25", tablespace=tablespace)

        def fill(injector: FaultInjector) -> None:
            ballast = tmp_path / "disk" / "ballast"
            with ballast.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(65_536))
                except OSError:
                    pass
            injector.wait(SECONDS)
            ballast.unlink()

        try:
            play_with(a_round, fill)
        finally:
            a_round.close()
            one_broker.drop_database(a_round.deployment.database_url)


@pytest.fixture(scope="module")
def three_brokers() -> Iterator[Cluster]:
    """Three brokers, three replicas, two of them in sync."""
    with start_cluster(brokers=3) as cluster:
        yield cluster


@pytest.mark.soak
@pytest.mark.timeout(240)
@pytest.mark.parametrize("number", [1, 3])
def test_some_of_three_brokers_are_killed(three_brokers: Cluster, tmp_path: Path, number: int) -> None:
    def kill(injector: FaultInjector) -> None:
        brokers = three_brokers.stack.brokers[:number]
        for broker in brokers:
            broker.kill()
        injector.wait(SECONDS)
        for broker in brokers:
            broker.launch()

    a_round = Round(three_brokers, tmp_path, 1, TRACKER_BATCH_SIZE="25")
    try:
        play_with(a_round, kill)
    finally:
        a_round.close()
        three_brokers.drop_database(a_round.deployment.database_url)


@pytest.mark.soak
@pytest.mark.timeout(240)
def test_a_destination_without_a_leader(three_brokers: Cluster, tmp_path: Path) -> None:
    a_round = Round(three_brokers, tmp_path, 1, TRACKER_BATCH_SIZE="25")
    try:
        play_with(a_round, lambda injector: injector.inject(["a destination without a leader"], 10.0))
    finally:
        a_round.close()
        three_brokers.drop_database(a_round.deployment.database_url)
