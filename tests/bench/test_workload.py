"""What a measurement sends, compared with what the tracker reads of it."""

from collections import Counter

import pytest

from bench.scenarios import SCENARIOS
from bench.workload import KAFKA_PARTITIONS, Topics, Workload, number_of
from tracker.client.submission import accept
from tracker.identifiers import parse_task_name
from tracker.messages.task_message import decode_message
from tracker.messages.tracking import without_tracking

TOPICS = Topics.of("bench")


def make(name: str, messages: int = 2_000) -> Workload:
    return SCENARIOS[name].workload(TOPICS, messages, seed=1)


@pytest.mark.parametrize("name", SCENARIOS)
def test_messages_are_sound_and_about_800_bytes_long(name: str) -> None:
    workload = make(name)

    for number, (_, key, value) in enumerate(workload.messages()):
        message, tracking = decode_message(value)
        assert 795 <= len(value) <= 815
        assert message.to == TOPICS.destination
        assert tracking is not None
        assert tracking.jobTaskId is not None
        assert key.decode() == tracking.jobTaskId.partition(".")[0]
        assert number_of(value) == number
        assert workload.sent(number) == (key, value)


def test_each_task_of_a_job_comes_once_and_the_last_is_marked() -> None:
    workload = make("complete", 200 * 3)

    tasks = Counter(
        decode_message(message.value)[1].jobTaskId  # type: ignore[union-attr]
        for message in workload.messages()
    )

    expected = {f"bench:{job_id}.{index}" for job_id in workload.job_ids for index in ("1", "2", "3*")}
    assert tasks == dict.fromkeys(expected, 1)


def test_what_completes_is_expected_as_the_tracker_forwards_it() -> None:
    workload = make("complete")
    _, sent = workload.sent(700)
    _, forwarded = workload.forwarded(700)

    assert decode_message(forwarded)[1] is None
    assert forwarded == without_tracking(sent, decode_message(sent)[0].tracking)


def test_what_is_in_progress_is_forwarded_as_it_is() -> None:
    workload = make("proxied")

    assert workload.forwarded(700) == workload.sent(700)


@pytest.mark.parametrize("name", SCENARIOS)
def test_kafka_partitions_have_the_same_number_of_messages_and_whole_jobs(name: str) -> None:
    places: dict[int, set[bytes]] = {}
    sizes = Counter[int]()
    for kafka_partition, key, _ in make(name).messages():
        places.setdefault(kafka_partition, set()).add(key)
        sizes[kafka_partition] += 1

    assert sizes == dict.fromkeys(range(KAFKA_PARTITIONS), 250)
    assert sum(len(keys) for keys in places.values()) == len(set().union(*places.values()))


def test_the_number_of_messages_is_that_of_whole_jobs() -> None:
    assert make("complete", 1_000_000).size == 1_000_000
    assert make("complete", 1_050).size == 1_000
    assert make("complete", 1).size == 200


def test_the_same_seed_makes_the_same_messages_and_another_makes_others() -> None:
    scenario = SCENARIOS["complete"]

    assert scenario.workload(TOPICS, 200, seed=1).sent(5) == scenario.workload(TOPICS, 200, seed=1).sent(5)
    assert scenario.workload(TOPICS, 200, seed=1).sent(5) != scenario.workload(TOPICS, 200, seed=2).sent(5)


def test_jobs_can_be_submitted() -> None:
    workload = make("complete")

    accepted = accept(workload.jobs(), str)

    assert [name.job_id for name in accepted] == workload.job_ids
    assert parse_task_name("bench:job-000000.1").job in accepted
