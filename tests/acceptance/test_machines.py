"""Several `tracker run`, as on several machines, share the Kafka partitions of one tracking topic."""

from collections.abc import Iterable
from contextlib import ExitStack

from tests.support import invariants
from tests.support.deployment_fixtures import Deploy
from tests.support.kafka import wait_until
from tests.support.load import Load
from tests.support.program import Program

MACHINES = ("machine-1", "machine-2", "machine-3")


def shares(programs: Iterable[Program]) -> list[int]:
    """Return how many Kafka partitions the one worker of each has, as it has logged.

    Rejected: the admin client, which has crashed processes that described a group while it was forming.
    """
    return [
        next((line["assigned"] for line in reversed(program.lines) if "assigned" in line), 0)
        for program in programs
    ]


def test_machines_share_a_topic_and_one_that_goes_leaves_its_share_to_the_others(deploy: Deploy) -> None:
    tracker = deploy(partitions=6, TRACKER_WORKERS="1", TRACKER_BATCH_SIZE="500")
    load = Load(tracker, jobs=60, messages=30_000)
    load.submit()
    with ExitStack() as stack:
        programs = [
            stack.enter_context(Program({**tracker.variables, "TRACKER_INSTANCE": machine}))
            for machine in MACHINES
        ]
        wait_until(lambda: shares(programs) == [2, 2, 2], "two Kafka partitions each")
        load.send(0, 10_000)
        wait_until(lambda: sum(tracker.kafka.ends(tracker.topics.results).values()) > 1_000, "some forwarded")
        assert programs[0].stop() == 0
        load.send(10_000)
        wait_until(lambda: shares(programs[1:]) == [3, 3], "three Kafka partitions each")
        tracker.programs = 2
        tracker.wait_until_processed()
        invariants.check_at_rest(tracker)
        load.check()
        assert [program.stop() for program in programs[1:]] == [0, 0]


def test_fewer_kafka_partitions_than_workers_are_warned_of_once(deploy: Deploy) -> None:
    tracker = deploy(partitions=1, TRACKER_WORKERS="2")
    with Program(tracker.variables) as program:
        program.wait_for_text(r"fewer Kafka partitions \(1\) than TRACKER_WORKERS \(2\)")
        tracker.programs = 1
        tracker.process(tracker.message(None))
        assert program.stop() == 0
    assert program.text().count("than TRACKER_WORKERS") == 1
