"""The part of the delivery tests that says most, with Kafka's newer group protocol.

All of them: `make test-all`, or `GROUP_PROTOCOL=consumer make test ARGS="tests/acceptance tests/faults"`.
"""

from tests.acceptance.test_delivery import (  # noqa: F401
    test_a_batch_that_is_slow_is_finished_before_its_kafka_partitions_are_given_up,
    test_each_message_is_forwarded_once_though_workers_are_killed,
    test_each_message_is_forwarded_once_while_workers_join_and_leave,
)
from tests.acceptance.test_machines import (  # noqa: F401
    test_machines_share_a_topic_and_one_that_goes_leaves_its_share_to_the_others,
)
from tests.acceptance.test_redelivery import (  # noqa: F401
    test_a_release_is_sent_once_with_the_same_task_id,
    test_another_worker_publishes_what_one_has_applied_before_it_died,
    test_they_are_forwarded_then_and_once,
)
from tests.support.deployment_fixtures import Deploy
from tests.support.disagreement import forwarded, numbered
from tests.support.kafka import wait_until
from tests.support.profile import PROTOCOL_VARIABLE
from tests.support.program import Program


def test_a_worker_that_was_killed_is_replaced_by_one_process(deploy: Deploy) -> None:
    """As the same member it would be refused until the session of the one that died has ended."""
    tracker = deploy(partitions=2, TRACKER_WORKERS="1")
    tracker.submit("job")
    with Program(tracker.variables) as program:
        tracker.programs = 1
        tracker.process(*numbered(tracker, range(1, 11)))
        program.kill("worker-0")
        tracker.process(*numbered(tracker, range(11, 21)))
        program.wait_for("child started", child="worker-0", times=2)
        assert program.stop() == 0
    started = [line for line in program.lines if line["event"] == "child started"]
    assert len([line for line in started if line["child"] == "worker-0"]) == 2
    assert len(tracker.results()) == 20


def test_workers_without_a_kafka_partition_are_ready(deploy: Deploy) -> None:
    tracker = deploy(partitions=1)
    tracker.start(workers=3, scheduler=False)
    wait_until(lambda: all(member.ready for member in tracker.workers), "all ready")


def test_a_group_may_change_its_protocol_and_change_it_back(deploy: Deploy) -> None:
    tracker = deploy(partitions=2)
    tracker.submit("job")
    for turn, protocol in enumerate(("classic", "consumer", "classic")):
        tracker.variables[PROTOCOL_VARIABLE] = protocol
        with tracker.running(workers=2, scheduler=False):
            tracker.process(*numbered(tracker, range(10 * turn + 1, 10 * turn + 11)))
    assert sorted(forwarded(tracker)) == [*range(1, 31)]
