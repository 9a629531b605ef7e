"""Decoding a batch: what is bad and why, where each record goes, and that no record affects another."""

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.decoding import MODEL_RULES, NOW_MS, decode, reasons
from tests.support.messages import record_of, report, task_message, tracking_report
from tests.support.model.poison import POISON, SOUND, Poison
from tests.support.model.reading import Bad, Event, Proxied, read
from tests.support.model.scripts import Step, record_for
from tests.support.profile import THOROUGH
from tests.support.records import Record
from tracker.identifiers import JobName
from tracker.messages.decode import DecodedBatch, Rules
from tracker.messages.event import Failed, Failure
from tracker.messages.job_work import JobWork, Siblings

JOB = JobName("acme", "job")


def decode_one(value: bytes | None, headers: Any = (), topic: str = "tracking") -> DecodedBatch:
    return decode([record_of(value, headers=headers, topic=topic)])


def failure_of(value: bytes, headers: Any = ()) -> Failure:
    """Return what a message that fails a task says of it."""
    [(_, reported)] = decode_one(value, headers).jobs[JOB].reports
    assert isinstance(reported, Failed)
    return reported.failure


# --- bad input


@pytest.mark.parametrize("poison", POISON, ids=lambda poison: poison.name[:60])
def test_bad_input_is_refused_for_its_reason(poison: Poison) -> None:
    batch = decode_one(poison.value, poison.headers)
    assert reasons(batch) == {0: poison.reason}
    assert (batch.destinations, batch.jobs) == ([None], {})


@pytest.mark.parametrize("sound", SOUND, ids=lambda sound: sound.name[:60])
def test_near_misses_are_not_refused(sound: Poison) -> None:
    assert reasons(decode_one(sound.value, sound.headers)) == {}


SMALL = [each for each in [*POISON, *SOUND] if len(each.value or b"") < 3_000]


@given(st.sampled_from(SMALL), st.data())
@THOROUGH
def test_what_is_refused_is_refused_by_the_model_too(start: Poison, data: st.DataObject) -> None:
    """Cut, repeated and replaced bytes of bad and sound messages: two wrongs may have either's reason."""
    value = start.value or b""
    for _ in range(data.draw(st.integers(1, 3))):
        first, end = sorted(data.draw(st.tuples(*[st.integers(0, len(value))] * 2)))
        new = data.draw(
            st.sampled_from([b"", value[first:end] * 2, b'"', b"\\", b"1", b"\xff", b"null", b"{}"])
        )
        value = value[:first] + new + value[end:]
    record = record_of(value, headers=start.headers)
    assert bool(reasons(decode([record]))) == is_bad(record)


def is_bad(record: Record) -> bool:
    try:
        read(record, MODEL_RULES)
    except Bad:
        return True
    return False


randoms = st.randoms(use_true_random=False)


def some_record(random: Random) -> Record:
    """Make a sound record, often on tasks that have a parent in common."""
    task = random.choice(["acme:job", "acme:job", "job", "other:job"])
    for _ in range(random.choice([0, 1, 1, 2])):
        task += f".{random.randint(1, 3)}{random.choice(['', '', '*'])}"
    kind = random.choice(["complete", "complete", "failed", "in-progress", "retry"])
    via = "proxied" if kind == "in-progress" else random.choice(["event", "proxied"])
    return record_for(random, Step(task, kind, via=via))


def bad_record(random: Random) -> Record:
    """Make a bad one; sometimes bad only in its last index, on the same parent as sound ones."""
    if random.random() < 0.5:
        index = random.choice(["0", "01", "1,2", "1*2", "2147483648", "", " 1", "1**", "\u0661", "1\0"])
        task = f"{random.choice(['acme:job', 'job', 'acme:job.1'])}.{index}"
        to = random.choice(["worker-out", "worker-in"])
        return record_of(task_message(task, to=to))
    poison = random.choice([poison for poison in POISON if len(poison.value or b"") < 3_000])
    return record_of(poison.value, headers=poison.headers)


def summary(batch: DecodedBatch, keep: list[int]) -> Any:
    """Say all that was made of the records at these positions, numbered from 0."""
    number = {position: place for place, position in enumerate(keep)}
    return {
        "destinations": [batch.destinations[position] for position in keep],
        "values": [batch.values[position] for position in keep],
        "counts": (batch.events, batch.retries, batch.untracked),
        "jobs": {name: work_summary(work, number) for name, work in batch.jobs.items()},
    }


def work_summary(work: JobWork, number: dict[int, int]) -> Any:
    def places(positions: list[int]) -> list[int]:
        return sorted(number[position] for position in positions)

    def completed(groups: list[Siblings]) -> Any:
        children = [
            (number[position], siblings.path, child)
            for siblings in groups
            for child, position in zip(siblings.completed, siblings.completed_positions, strict=True)
        ]
        return sorted(children), sorted((siblings.path, siblings.last) for siblings in groups)

    return (
        completed(work.siblings),
        completed(work.event_siblings),
        places(work.job_completed_positions),
        places(work.open_positions),
        places(work.ending_positions),
        [(number[position], reported) for position, reported in work.reports],
        [(number[position], reported) for position, reported in work.event_reports],
    )


@given(randoms, st.integers(1, 15))
@THOROUGH
def test_bad_records_do_not_affect_the_others(random: Random, size: int) -> None:
    sound = [some_record(random) for _ in range(size)]
    mixed: list[Record] = list(sound)
    for _ in range(random.randint(1, 10)):
        mixed.insert(random.randint(0, len(mixed)), bad_record(random))
    batch = decode(mixed)
    bad = [position for position, record in enumerate(mixed) if is_bad(record)]
    assert sorted(reasons(batch)) == bad
    assert [batch.destinations[position] for position in bad] == [None] * len(bad)
    keep = [position for position in range(len(mixed)) if position not in bad]
    assert summary(batch, keep) == summary(decode(sound), list(range(size)))


def test_an_index_with_a_comma_is_not_two_indexes() -> None:
    batch = decode([record_of(task_message(f"acme:job.{index}")) for index in ("1", "2,3", "4")])
    assert reasons(batch) == {1: "bad-job-task-id"}
    assert batch.jobs[JOB].siblings[0].completed == [1, 4]


@pytest.mark.parametrize("long_first", [True, False])
def test_a_task_name_that_is_too_long_is_refused_beside_siblings(long_first: bool) -> None:
    parent = "acme:job" + ".2147483647" * 90
    names = [f"{parent}.1", f"{parent}.12"]  # of 1,000 and 1,001 characters
    if long_first:
        names.reverse()
    batch = decode([record_of(task_message(name)) for name in names])
    assert list(reasons(batch).values()) == ["bad-job-task-id"]
    assert reasons(batch).keys() == {names.index(f"{parent}.12")}


# --- where records go


@given(randoms)
@THOROUGH
def test_records_go_where_the_model_sends_them_byte_for_byte(random: Random) -> None:
    records = [some_record(random) for _ in range(10)]
    batch = decode(records)
    for position, record in enumerate(records):
        message = read(record, MODEL_RULES)
        if isinstance(message, Event):
            assert batch.destinations[position] is None
        else:
            assert batch.destinations[position] == message.to
            assert batch.values[position] == message.value


@pytest.mark.parametrize("sound", SOUND, ids=lambda sound: sound.name[:60])
def test_near_misses_go_where_the_model_sends_them_byte_for_byte(sound: Poison) -> None:
    message = read(record_of(sound.value), MODEL_RULES)
    batch = decode_one(sound.value)
    if isinstance(message, Proxied):
        assert (batch.destinations, batch.values) == ([message.to], [message.value])
    else:
        assert (batch.destinations, batch.events) == ([None], 1)


def test_each_topic_is_judged_once_a_batch() -> None:
    asked: list[str] = []
    rules = Rules(["tracking"], asked.append, 1_000_000, 100)
    decode([record_of(task_message(f"acme:job.{index}", to="worker-in")) for index in (1, 2, 3)], rules)
    assert asked == ["worker-in"]


def test_an_event_read_from_one_tracking_topic_for_another_is_not_allowed() -> None:
    value = tracking_report(report("acme:job.1", "Complete"), to="tracking-2")
    assert reasons(decode_one(value)) == {0: "destination-not-allowed"}
    batch = decode_one(value, topic="TRACKING-2")
    assert (reasons(batch), batch.events) == ({}, 1)


def test_the_same_destination_is_an_event_for_one_topic_and_refused_for_another() -> None:
    value = tracking_report(report("acme:job.1", "Complete"), to="tracking-2")
    batch = decode([record_of(value, topic=topic) for topic in ("tracking", "tracking-2", "tracking")])
    assert reasons(batch).keys() == {0, 2}


def test_fresh_destinations_can_be_changed_apart() -> None:
    batch = decode_one(task_message("acme:job.1"))
    batch.copy().destinations[0] = None
    assert batch.destinations == ["worker-out"]
    assert batch.copy().jobs is batch.jobs


# --- what they report


@pytest.mark.parametrize("status", ["NEW_TASK", "RESULT_SUCCESS", "RESULT_FAILURE"])
@pytest.mark.parametrize(
    ("to", "track_to", "completes"),
    [
        ("worker-out", "worker-out", True),
        ("worker-out", "WORKER-OUT", True),
        (None, None, True),
        ("worker-out", None, False),
        (None, "worker-out", False),
        ("worker-in", "worker-out", False),
    ],
)
def test_a_task_is_complete_where_its_tracking_ends(
    status: str, to: str | None, track_to: str | None, completes: bool
) -> None:
    work = decode_one(task_message("acme:job.1*", to=to, track_to=track_to, status=status)).jobs[JOB]
    assert (work.ending_positions, work.open_positions) == (([0], []) if completes else ([], [0]))
    assert work.siblings[0].completed == ([1] if completes else [])
    assert work.siblings[0].last == int(completes)


@pytest.mark.parametrize("status", ["RESULT_EXCEPTION", "INVALID_TASK"])
def test_an_exception_is_a_failure(status: str) -> None:
    value = task_message("acme:job.1", status=status, task_data="es ging schief: \u00fc".encode())
    assert failure_of(value) == Failure(status, NOW_MS, "worker-document", "es ging schief: ü")


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (None, "Unknown - no source info"),
        ({}, "Unknown - worker name not set"),
        ({"name": None}, "Unknown - worker name not set"),
        ({"name": ""}, ""),
    ],
)
def test_a_failure_says_where_it_has_no_source(source: Any, shown: str) -> None:
    value = task_message("acme:job.1", status="INVALID_TASK", sourceInfo=source)
    assert failure_of(value).failure_source == shown


@pytest.mark.parametrize("status", [None, "RESULT_MAYBE"])
@pytest.mark.parametrize(
    ("retries", "times"),
    [(b"3", 3), (None, 0), (b"", 0), (b"many", 0), (b"-1", 0), ("\u0663".encode(), 0), (b"9" * 19, 0)],
)
def test_a_rejected_task_fails(status: str | None, retries: bytes | None, times: int) -> None:
    headers = [("x-caf-worker-rejected", b"too often"), ("x-caf-worker-retry", retries)]
    failure = failure_of(task_message("acme:job.1", status=status), headers)
    assert failure.failure_id == "x-caf-worker-rejected"
    assert failure.failure_message == f"too often. Execution of this job task was retried {times} times."


def test_a_rejection_of_a_result_says_nothing() -> None:
    batch = decode_one(task_message("acme:job.1"), [("x-caf-worker-rejected", b"too often")])
    assert (batch.jobs[JOB].reports, batch.jobs[JOB].siblings[0].completed) == ([], [1])


@pytest.mark.parametrize("status", [None, "RESULT_MAYBE"])
def test_a_retry_is_counted_and_reports_nothing(status: str | None) -> None:
    batch = decode_one(task_message("acme:job.1", to="worker-in", status=status))
    assert (batch.retries, batch.jobs[JOB].reports, batch.destinations) == (1, [], ["worker-in"])


def test_task_data_that_is_no_utf8_is_shown_as_far_as_it_is() -> None:
    value = task_message("acme:job.1", status="INVALID_TASK", task_data=b"a\xffb")
    assert failure_of(value).failure_message == "a\N{REPLACEMENT CHARACTER}b"


@pytest.mark.parametrize("size", [99, 100, 101, 1_000_000])
def test_long_failure_messages_are_cut_and_say_so(size: int) -> None:
    rules = Rules(["tracking"], lambda _: None, 10_000_000, 100)
    value = task_message("acme:job.1", status="INVALID_TASK", task_data=b"x" * size)
    [(_, reported)] = decode([record_of(value)], rules).jobs[JOB].reports
    assert isinstance(reported, Failed)
    message = reported.failure.failure_message
    assert len(message) == min(size, 100)
    assert message.startswith("x" * 60)
    assert (f"{size:,}" in message) == (size > 100)


def test_untracked_messages_are_forwarded_and_counted() -> None:
    values = [task_message(None, tracking=None), task_message(None, track_to=None)]
    batch = decode([record_of(value) for value in values])
    assert (batch.untracked, batch.jobs, batch.values) == (2, {}, values)


def test_a_message_as_large_as_may_be_is_sound() -> None:
    value = task_message("acme:job.1")
    exactly = Rules(["tracking"], lambda _: None, len(value), 100)
    one_less = Rules(["tracking"], lambda _: None, len(value) - 1, 100)
    assert reasons(decode([record_of(value)], exactly)) == {}
    assert reasons(decode([record_of(value)], one_less)) == {0: "too-large"}


def test_siblings_of_a_parent_that_is_written_in_two_ways_are_one_jobs() -> None:
    names = ["acme:job.1.1", "acme:job.1*.2*", "acme:job.1.3"]
    work = decode([record_of(task_message(name)) for name in names]).jobs[JOB]
    assert {(each.path, tuple(each.completed), each.last) for each in work.siblings} == {
        ("1", (1, 3), 0),
        ("1", (2,), 2),
    }


def test_a_record_with_two_wrongs_is_refused_once() -> None:
    value = json.loads(task_message("acme:job.0", to="nowhere"))
    batch = decode_one(json.dumps(value).encode())
    assert len(batch.refused) == 1
