"""Measures outages under load: a server that is away for a while, and a slow database.

    python -m tests.faults.outages --seconds 300

prints for each how soon messages flow again, how much memory the workers used, and whether the group lost a
member. It checks that every message arrived at its destination once.
"""

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from confluent_kafka import KafkaException

from tests.faults.cluster import Cluster, start_cluster
from tests.faults.topics import new_topics
from tests.support import invariants
from tests.support.deployment import Deployment
from tests.support.kafka import wait_until
from tests.support.load import Load
from tests.support.program import Program
from tracker.store.connect import connect

RATE = 200  # messages a second
JOBS = 20
STEADY_S = 15.0
DELAYS_S = (0.0, 0.01, 0.05)


class Sender:
    """Sends a load at a constant rate, on a thread. What a broker that is away cannot take arrives later."""

    def __init__(self, deployment: Deployment, load: Load) -> None:
        self._deployment, self._load = deployment, load
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait until all is sent."""
        self._thread.join()
        self._deployment.kafka.flush()

    def _run(self) -> None:
        began = time.monotonic()
        for number, record in enumerate(self._load.records()):
            while number > (time.monotonic() - began) * RATE:
                time.sleep(0.01)
            self._deployment.kafka.produce(record, self._deployment.topics.tracking)


def rss_mb(program: Program) -> dict[str, int]:
    """Return the resident memory of each child, in MB."""
    found = {}
    for name, pid in program.children().items():
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                found[name] = int(line.split()[1]) // 1024
    return found


def rebalances(program: Program) -> int:
    """Return how often workers lost Kafka partitions."""
    changes = ("Kafka partitions revoked", "Kafka partitions lost")
    return sum(line["event"] in changes for line in list(program.lines))


def lost(program: Program, changes: int, children: dict[str, int]) -> str:
    """Return a sentence on the rebalances and restarts since `changes` and `children` were read."""
    ends = [line for line in list(program.lines) if line["event"] in {"child ended", "unexpected error"}]
    restarted = "no process was restarted" if program.children() == children else f"restarted: {ends}"
    return f"Kafka partitions changed hands {rebalances(program) - changes} times; {restarted}"


def forwarded(deployment: Deployment) -> int:
    """Return the number of results. A broker that has just started may need a moment to answer."""
    while True:
        with suppress(KafkaException):
            return sum(deployment.kafka.ends(deployment.topics.results, committed=True).values())
        time.sleep(0.05)


@contextmanager
def running(cluster: Cluster, seconds: float) -> Iterator[tuple[Deployment, Program, Sender]]:
    """Run two workers and a scheduler under load for this long, then check the results."""
    _, topics = new_topics()
    url = cluster.new_database()
    deployment = Deployment(cluster.bootstrap_servers, url, topics)
    deployment.programs = 1
    deployment.kafka.create({**dict.fromkeys(topics, 1), topics.tracking: 4})
    load = Load(deployment, jobs=JOBS, messages=round(RATE * seconds / JOBS) * JOBS)
    load.submit()
    try:
        with Program(deployment.variables | cluster.variables(url)) as program:
            wait_until(lambda: len(deployment.started()) == JOBS, "all jobs started")
            sender = Sender(deployment, load)
            wait_until(lambda: forwarded(deployment) > RATE, "the load to flow")
            yield deployment, program, sender
            sender.finish()
            deployment.database.close()
            deployment.database = connect(url, autocommit=True)
            deployment.client.close()
            invariants.check_at_rest(deployment)
            deployment.client = type(deployment.client)(url)
            deployment.client.open()
            load.check()
            assert program.stop() == 0, program.text()
    finally:
        deployment.close()
        cluster.drop_database(url)


def measure(
    cluster: Cluster, name: str, away_s: float, stop: Callable[[], None], start: Callable[[], None]
) -> str:
    """Stop a server, start it after `away_s`, and return the figures."""
    with running(cluster, 2 * STEADY_S + 1.2 * away_s) as (deployment, program, sender):
        time.sleep(STEADY_S)
        before, changes, children = rss_mb(program), rebalances(program), program.children()
        stop()
        most = dict(before)
        ends = time.monotonic() + away_s
        while time.monotonic() < ends:
            time.sleep(1)
            most = {child: max(mb, most.get(child, 0)) for child, mb in rss_mb(program).items()}
        start()
        returned, at_return = time.monotonic(), forwarded(deployment)
        wait_until(lambda: forwarded(deployment) > at_return, "the first message", 120)
        first_s = time.monotonic() - returned
        sender.finish()
        deployment.wait_until_processed(300)
        return (
            f"{name} away for {away_s:.0f} s: first message {first_s:.1f} s after its return, memory in MB"
            f" before {before}, at most {most}, after {rss_mb(program)}; {lost(program, changes, children)}"
        )


def measure_slow(cluster: Cluster, delay_s: float) -> str:
    """Delay everything to and from PostgreSQL, and return the figures."""
    with running(cluster, 2 * STEADY_S) as (deployment, program, sender):
        changes, children = rebalances(program), program.children()
        cluster.postgres_proxy.delay_s = delay_s
        began, at_begin = time.monotonic(), forwarded(deployment)
        time.sleep(STEADY_S)
        rate = (forwarded(deployment) - at_begin) / (time.monotonic() - began)
        sender.finish()
        deployment.wait_until_processed(300)
        total_s = time.monotonic() - began
        cluster.heal()
        return (
            f"PostgreSQL {1000 * delay_s:.0f} ms slower each way: {rate:.0f} messages/s of {RATE} offered,"
            f" all done after {total_s:.0f} s; {lost(program, changes, children)}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description="Outages under load; see the head of this module.")
    parser.add_argument("--seconds", type=float, default=300.0, help="how long each server is away")
    parser.add_argument("--only", choices=["postgresql", "kafka", "slow"], help="measure only this one")
    options = parser.parse_args()

    def wanted(what: str) -> bool:
        return options.only in {None, what}

    with start_cluster() as cluster:
        postgres, [broker] = cluster.stack.postgres, cluster.stack.brokers
        assert postgres is not None
        if wanted("postgresql"):
            print(measure(cluster, "PostgreSQL", options.seconds, postgres.kill, postgres.start), flush=True)
        if wanted("kafka"):
            print(measure(cluster, "Kafka", options.seconds, broker.kill, broker.start), flush=True)
        for delay_s in DELAYS_S if wanted("slow") else ():
            print(measure_slow(cluster, delay_s), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
