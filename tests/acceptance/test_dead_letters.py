"""Dead letters fit their topic whatever their records have, and are accepted once their cause is gone."""

import json
import uuid
from contextlib import closing
from typing import Any

import pytest

from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.kafka import Received
from tests.support.messages import record_of, report, tracking_report
from tests.support.raw_producer import send_raw
from tests.support.records import Record
from tracker.dead_letters import ChangeCounts, LetterChanger, LetterFilter, LetterReader, Replay, Selection
from tracker.kafka import dead_letters
from tracker.messages.refusal import Reason
from tracker.metrics import KAFKA_ABORTS

ROOMY = {"max.message.bytes": "20000000"}


def bad(tracker: Deployment, **parts: Any) -> Record:
    """Make a record whose jobTaskId is malformed."""
    return tracker.message("acme:job.0")._replace(**parts)


@pytest.mark.parametrize("part", ["headers", "key"])
def test_large_headers_and_keys_stop_nothing(deploy: Deploy, part: str) -> None:
    tracker = deploy(partitions=1)
    tracker.kafka.configure(tracker.topics.tracking, **ROOMY)
    tracker.submit("job")
    tracker.start(scheduler=False)
    large = b"x" * 1_100_000
    record = bad(tracker, headers=(("large", large),)) if part == "headers" else bad(tracker, key=large)
    tracker.process(record, tracker.message("acme:job.1"))
    assert len(tracker.results()) == 1
    [letter] = tracker.dead_letters()
    assert letter.header("tracker-error-reason") == "bad-job-task-id"
    assert letter.value == record.value
    name = "headers-dropped" if part == "headers" else "key-replaced"
    assert "bytes, sha256" in (letter.header(f"tracker-error-{name}") or "")
    assert tracker.count(KAFKA_ABORTS) == 0


@pytest.mark.parametrize("known", ["at the start", "later"])
def test_a_compacted_topic_for_dead_letters_stops_nothing(deploy: Deploy, known: str) -> None:
    tracker = deploy(partitions=1)
    tracker.submit("job")
    if known == "later":
        tracker.start(scheduler=False)
    tracker.kafka.configure(tracker.topics.dead_letters, **{"cleanup.policy": "compact"})
    if known == "at the start":
        tracker.start(scheduler=False)
    record = bad(tracker, key=None)
    tracker.process(record, tracker.message("acme:job.1"))
    [letter] = tracker.dead_letters()
    assert (letter.key, letter.value) == (f"{tracker.topics.tracking}:0:0".encode(), record.value)
    assert len(tracker.results()) == 1
    assert known == "later" or tracker.count(KAFKA_ABORTS) == 0


def test_dead_letters_are_cut_only_while_their_topic_takes_no_large_ones(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "_ASK_AGAIN_S", 0.0)
    tracker = deploy(partitions=1)
    tracker.start(scheduler=False)
    tracker.kafka.configure(tracker.topics.dead_letters, **{"max.message.bytes": "20000"})
    large = bad(tracker, value=b"x" * 50_000)
    tracker.process(large)
    tracker.process(*[bad(tracker, value=b"x" * 64)] * 3)
    tracker.kafka.configure(tracker.topics.dead_letters, **{"max.message.bytes": "1000000"})
    tracker.process(large)
    cut, *small, whole = (letter.value or b"" for letter in tracker.dead_letters())
    assert 1_000 < len(cut) < 20_000
    assert (small, whole) == ([b"x" * 64] * 3, large.value)


def sound(tracker: Deployment, **fields: Any) -> bytes:
    return tracker.message("acme:job.1", **fields).value or b""


def one_of_each(tracker: Deployment, missing: str, forbidden: str) -> dict[Reason, tuple[bytes, bytes]]:
    """Return for each reason a bad value, and what it is when its cause is gone: itself, or one mended."""
    event = {"to": tracker.topics.tracking}
    good_event = tracking_report(report("acme:job.9", "Complete"), **event)
    good = sound(tracker)
    rejected = tracker.message("acme:job.2", status="INVALID_TASK", task_data=b"the wrong words").value or b""
    large, to_missing = sound(tracker, padding="x" * 5_000), sound(tracker, to=missing)
    to_forbidden = sound(tracker, to=forbidden)
    return {
        Reason.NOT_JSON: (b"{", good),
        Reason.NOT_AN_OBJECT: (b"[]", good),
        Reason.MISSING_FIELD: (b"{}", good),
        Reason.WRONG_TYPE: (sound(tracker, taskId=7), good),
        Reason.BAD_JOB_TASK_ID: (tracker.message("acme:job.0").value or b"", good),
        Reason.PERCENTAGE_OUT_OF_RANGE: (tracker.progress("acme:job.1", 101).value or b"", good),
        Reason.UNKNOWN_CLASSIFIER: (tracking_report(taskClassifier="Other", **event), good_event),
        Reason.UNKNOWN_VERSION: (sound(tracker, version=4), good),
        Reason.NUL_IN_TEXT: (tracker.message("acme:job.1\0").value or b"", good),
        Reason.TOO_LARGE: (large, large),
        Reason.TOO_DEEP: (sound(tracker, context=json.loads('{"a":' * 300 + "1" + "}" * 300)), good),
        Reason.DESTINATION_NOT_ALLOWED: (to_forbidden, to_forbidden),
        Reason.DESTINATION_UNKNOWN: (to_missing, to_missing),
        Reason.DATABASE_REJECTED: (rejected, rejected),
    }


def replayed(letter: Received, value: bytes) -> Record:
    return record_of(value, key=letter.key, headers=letter.headers)


def test_every_dead_letter_is_accepted_once_its_cause_is_gone(deploy: Deploy) -> None:
    tracker = deploy(partitions=1, TRACKER_MAX_MESSAGE_BYTES="4000")
    missing, forbidden = (f"{name}-{uuid.uuid4().hex[:12]}" for name in ("missing", "forbidden"))
    tracker.kafka.create({forbidden: 1})
    tracker.variables["TRACKER_DESTINATIONS"] = f"{tracker.topics.results},missing-*"
    cases = one_of_each(tracker, missing, forbidden)
    assert set(cases) == set(Reason) - {Reason.UNRECEIVABLE}
    tracker.client.submit([tracker.job("job")])
    tracker.database.execute("ALTER TABLE task_failure ADD CHECK (failure_message <> 'the wrong words')")
    tracker.start(scheduler=False)
    tracker.process(*(record_of(value, key=b"acme:job") for value, _ in cases.values()))
    letters = {letter.header("tracker-error-reason"): letter for letter in tracker.dead_letters()}
    assert set(letters) == set(cases)

    tracker.stop()
    tracker.kafka.create({missing: 1})
    tracker.database.execute("ALTER TABLE task_failure DROP CONSTRAINT task_failure_failure_message_check")
    del tracker.variables["TRACKER_DESTINATIONS"], tracker.variables["TRACKER_MAX_MESSAGE_BYTES"]
    tracker.start(scheduler=False)
    tracker.process(*(replayed(letters[reason], mended) for reason, (_, mended) in cases.items()))
    again = {
        letter.header("tracker-error-reason"): letter.header("tracker-error-detail")
        for letter in tracker.dead_letters()[len(cases) :]
    }
    assert again == {}
    assert len(tracker.kafka.read(tracker.topics.results, missing, forbidden)) == len(cases) - 1  # one event


def test_a_dead_letter_of_unreadable_headers_is_accepted_when_it_is_replayed(running: Deployment) -> None:
    value = running.message("acme:job.2").value or b""
    send_raw(running.kafka.bootstrap_servers, running.topics.tracking, value, [(b"x-\xff", b"1")])
    running.wait_until_processed()
    [letter] = running.dead_letters()
    assert "tracker-error-headers-unreadable" in dict(letter.headers)
    running.process(replayed(letter, value))
    assert len(running.dead_letters()) == 1
    assert len(running.results()) == 1


def replay(tracker: Deployment) -> ChangeCounts:
    """Replay all dead letters that are open."""
    with closing(LetterReader(tracker.settings)) as reader:
        selection = Selection(letter.record for letter in reader.scan(LetterFilter(), 1_000))
        change = Replay(5, reader.access_to, reader.kafka_partitions)
        changer = LetterChanger(reader, selection, change)
        for _ in changer.run(tracker.settings):
            pass
    tracker.wait_until_processed()
    return changer.counts


def test_a_replay_is_refused_again_and_counted_until_its_cause_is_gone(running: Deployment) -> None:
    later = running.topics.work + "-later"
    sent = running.message("acme:job.1*", to=later, track_to=later, headers=(("x-own", b"1"),))
    running.process(sent, running.message("acme:job.0"))
    for count in (2, 3):
        assert replay(running).changed == 2
        newest = running.dead_letters()[-2:]
        assert [letter.header("tracker-error-count") for letter in newest] == [str(count)] * 2
    running.kafka.create({later: 1})
    running.stop()
    running.start(scheduler=False)  # it has no earlier answer about the topic
    assert replay(running).changed == 2
    [forwarded] = running.kafka.read(later)
    assert (forwarded.key, forwarded.headers) == (sent.key, sent.headers)
    assert running.status("job") == "Completed"
    assert running.dead_letters()[-1].header("tracker-error-count") == "4"
    assert len(running.dead_letters()) == 7
