"""The messages of a measurement, as the tracker reads them."""

import base64
import json
from collections import Counter
from collections.abc import Iterator

import pytest

from bench.scenarios import SCENARIOS
from bench.scenarios.throughput import Throughput, Variant
from bench.workload import (
    KAFKA_PARTITIONS,
    Events,
    FirstTasks,
    Size,
    TasksInTurn,
    Topics,
    Tree,
    Workload,
    number_of,
)
from tracker.identifiers import parse_task_name
from tracker.jobs.validation import accept
from tracker.messages.task_message import decode_message
from tracker.messages.tracking import without_tracking

TOPICS = Topics.of("bench")


def variants() -> Iterator[tuple[str, Variant]]:
    for scenario in SCENARIOS.values():
        if isinstance(scenario, Throughput):
            for variant in scenario.variants:
                yield f"{scenario.name}: {variant.name}", variant


VARIANTS = dict(variants())
PROXIED = [name for name in VARIANTS if "events" not in name]


def make(name: str, messages: int = 2_000, seed: int = 1) -> Workload:
    return VARIANTS[name].workload(TOPICS, Size(messages, seed))


def task_names(workload: Workload) -> Counter[str]:
    tracked = (decode_message(message.value).tracking for message in workload.messages())
    return Counter(str(tracking.jobTaskId) for tracking in tracked if tracking is not None)


@pytest.mark.parametrize("name", PROXIED)
def test_messages_are_sound_and_about_800_bytes_long(name: str) -> None:
    workload = make(name)

    for number, (_, key, value) in enumerate(workload.messages()):
        message = decode_message(value)
        tracking = message.tracking
        assert 780 <= len(value) <= 820
        assert message.to == TOPICS.destination
        assert tracking is not None
        assert tracking.jobTaskId is not None
        assert key.decode() == tracking.jobTaskId.partition(".")[0]
        assert number_of(value) == number
        assert workload.sent(number) == (key, value)


def test_each_task_of_a_job_comes_once_and_the_last_is_marked() -> None:
    workload = TasksInTurn(TOPICS, Size(600), jobs=200)

    expected = {f"bench:{job_id}.{index}" for job_id in workload.job_ids for index in ("1", "2", "3*")}
    assert task_names(workload) == dict.fromkeys(expected, 1)


def test_shuffled_tasks_are_the_same_in_another_order() -> None:
    in_order, shuffled = (TasksInTurn(TOPICS, Size(500), jobs=1, shuffled=mixed) for mixed in (False, True))

    assert task_names(in_order) == task_names(shuffled)
    assert list(task_names(in_order)) != list(task_names(shuffled))


def test_a_tree_has_three_levels_and_a_mark_on_the_last_of_each() -> None:
    workload = Tree(TOPICS, Size(8))

    assert list(task_names(workload)) == [
        f"bench:job-000000.{a}.{b}.{c}" for a in ("1", "2*") for b in ("1", "2*") for c in ("1", "2*")
    ]
    assert task_names(workload) == task_names(Tree(TOPICS, Size(8), shuffled=True))
    assert Tree(TOPICS, Size(1_000_000)).size == 100**3


def test_first_tasks_are_of_a_job_each() -> None:
    workload = FirstTasks(TOPICS, Size(10))

    assert list(task_names(workload)) == [f"bench:{job_id}.1" for job_id in workload.job_ids]
    assert len(workload.job_ids) == 10


def test_events_report_each_task_once() -> None:
    workload = Events(TOPICS, Size(600), jobs=2)

    reported = Counter[str]()
    for message in workload.messages():
        envelope = decode_message(message.value)
        assert (envelope.to, envelope.tracking) == (TOPICS.tracking, None)
        reports = json.loads(base64.b64decode(envelope.taskData or ""))["trackingReports"]
        assert {report["status"] for report in reports} == {"Complete"}
        reported.update(report["jobTaskId"] for report in reports)
    assert (workload.size, workload.units) == (6, 600)
    assert reported == {
        f"bench:{job_id}.{task}": 1 for job_id in workload.job_ids for task in [*range(1, 300), "300*"]
    }


def test_what_completes_is_expected_as_the_tracker_forwards_it() -> None:
    workload = make("complete: tracker")
    _, sent = workload.sent(700)
    _, forwarded = workload.forwarded(700)

    assert decode_message(forwarded).tracking is None
    assert forwarded == without_tracking(sent)


def test_what_is_in_progress_is_forwarded_as_it_is() -> None:
    workload = make("proxied: tracker")

    assert workload.forwarded(700) == workload.sent(700)


@pytest.mark.parametrize("name", ["proxied: tracker", "complete: tracker", "job-each: only task"])
def test_kafka_partitions_have_the_same_number_of_messages_and_whole_jobs(name: str) -> None:
    keys: dict[int, set[bytes]] = {}
    sizes = Counter[int]()
    for kafka_partition, key, _ in make(name).messages():
        keys.setdefault(kafka_partition, set()).add(key)
        sizes[kafka_partition] += 1

    assert sizes == dict.fromkeys(range(KAFKA_PARTITIONS), 250)
    assert sum(map(len, keys.values())) == len(set().union(*keys.values()))


def test_the_number_of_messages_is_that_of_whole_jobs() -> None:
    assert make("complete: tracker", 1_000_000).size == 1_000_000
    assert make("complete: tracker", 1_050).size == 1_000
    assert make("complete: tracker", 1).size == 200


@pytest.mark.parametrize("name", PROXIED)
def test_the_same_seed_makes_the_same_messages_and_another_makes_others(name: str) -> None:
    assert make(name, 200).sent(5) == make(name, 200).sent(5)
    assert make(name, 200).sent(5) != make(name, 200, seed=2).sent(5)


@pytest.mark.parametrize("name", VARIANTS)
def test_jobs_can_be_submitted(name: str) -> None:
    workload = make(name)

    accepted = accept(workload.jobs(), str)

    assert [accept_name.job_id for accept_name in accepted] == list(workload.job_ids)
    assert parse_task_name("bench:job-000000.1").job in accepted
