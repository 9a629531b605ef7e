"""What librdkafka's statistics say of messages that wait, and which Kafka partition coordinates a group."""

import json
from typing import Any

import pytest

from tracker.kafka import stuck as stuck_module
from tracker.kafka.stuck import NO_LEADER, StuckDestinations, Undelivered
from tracker.kafka.watch import coordinator_partition
from tracker.metrics import STUCK_DESTINATIONS, Recorder
from tracker.obstacles import Obstacles


class Watched:
    """What is reported of a producer whose statistics the test makes."""

    def __init__(self) -> None:
        self.obstacles, self.recorder = Obstacles(), Recorder()
        self.stuck = StuckDestinations(self.obstacles, self.recorder)
        self.undelivered = Undelivered(self.stuck)

    def reported(self) -> list[str]:
        return [str(each).removeprefix("waiting for a destination: ") for each in self.obstacles.now()]

    def count(self) -> float:
        return self.recorder.snapshot().get(STUCK_DESTINATIONS.name, {}).get((), (0.0,))[0]

    def look(self, *partitions: tuple[str, int, dict[str, int]]) -> None:
        topics: dict[str, Any] = {}
        for topic, number, numbers in partitions:
            usual = {"leader": 1, "msgq_cnt": 0, "xmit_msgq_cnt": 0, "msgs_inflight": 0, "acked_msgid": 0}
            topics.setdefault(topic, {"partitions": {"-1": usual | {"msgq_cnt": 1}}})
            topics[topic]["partitions"][str(number)] = usual | numbers
        states = {"one": {"nodeid": 1, "state": "UP"}, "two": {"nodeid": 2, "state": "TRY_CONNECT"}}
        self.undelivered.on_statistics(json.dumps({"topics": topics, "brokers": states}))


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setattr(stuck_module, "_STUCK_AFTER_S", 0.0)
    made = Watched()
    made.undelivered.begin()
    return made


def test_messages_that_wait_for_a_leader_are_reported_until_some_are_published(watched: Watched) -> None:
    watched.look(("sick", 3, {"leader": -1, "msgq_cnt": 5}))
    assert watched.reported() == ["Kafka partition 3 of topic 'sick' takes no messages: it has no leader"]
    assert watched.count() == 1
    watched.undelivered.abandoned()
    assert watched.count() == 1
    watched.undelivered.begin()
    watched.undelivered.published()
    assert (watched.reported(), watched.count()) == ([], 0)


def test_what_a_batch_waits_for_blocks_and_what_only_the_brokers_say_does_not(watched: Watched) -> None:
    watched.stuck.observe("watch", {("sick", 3): NO_LEADER}, blocks=False)
    assert [each.blocks for each in watched.obstacles.now()] == [False]
    watched.look(("sick", 3, {"leader": -1, "msgq_cnt": 5}))
    assert [each.blocks for each in watched.obstacles.now()] == [True]
    watched.undelivered.published()
    assert [each.blocks for each in watched.obstacles.now()] == [False]


def test_those_that_wait_for_others_of_their_transaction_are_not_blamed(watched: Watched) -> None:
    watched.look(("sick", 0, {"leader": 2, "msgq_cnt": 1}), ("well", 0, {"leader": 1, "msgq_cnt": 1}))
    [reported] = watched.reported()
    assert (
        reported
        == "Kafka partition 0 of topic 'sick' takes no messages: its leader, broker 2, is not connected"
    )


def test_a_leader_that_does_not_answer_is_reported(watched: Watched) -> None:
    watched.look(("slow", 0, {"leader": 1, "msgs_inflight": 1}))
    assert watched.reported()[0].endswith("its leader, broker 1, does not acknowledge them")


def test_a_queue_that_moves_is_not_stuck(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stuck_module, "_STUCK_AFTER_S", 1e-9)
    for acked in range(5):
        watched.look(("busy", 0, {"leader": 1, "msgq_cnt": 100, "acked_msgid": acked}))
    assert watched.reported() == []
    watched.look(("busy", 0, {"leader": 1, "msgq_cnt": 100, "acked_msgid": 4}))
    assert len(watched.reported()) == 1


def test_nothing_is_looked_for_while_nothing_is_published(watched: Watched) -> None:
    watched.undelivered.abandoned()
    watched.look(("sick", 0, {"leader": -1, "msgq_cnt": 5}))
    assert watched.reported() == []


def test_many_are_one_sentence_for_each_topic(watched: Watched) -> None:
    watched.stuck.observe("watch", {("sick", number): NO_LEADER for number in range(12)}, blocks=False)
    [reported] = watched.reported()
    assert reported.startswith(
        "Kafka partitions 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more of topic 'sick' take no"
    )
    assert watched.count() == 12


@pytest.mark.parametrize(
    ("key", "number"),
    [("hello", 99_162_322 % 50), ("polygenelubricants", 0), ("", 0), ("Aa", 2112 % 50), ("BB", 2112 % 50)],
)
def test_coordinators_are_found_by_javas_hash(key: str, number: int) -> None:
    assert coordinator_partition(key, 50) == number
