"""Bad input in the model: each kind is one dead letter, and nothing else."""

from collections import Counter

import pytest

from tests.model.examples import JOB, send_message, state
from tests.support.messages import record_of, task_message
from tests.support.model.naive import NaiveTracker
from tests.support.model.outcomes import Outcome
from tests.support.model.poison import KNOWN_TOPICS, POISON, SOUND, TRACKING_TOPICS, Poison


@pytest.mark.parametrize("poison", POISON, ids=lambda poison: poison.name[:60])
def test_bad_input_is_one_dead_letter_and_nothing_else(poison: Poison) -> None:
    tracker = NaiveTracker(tracking_topics=TRACKING_TOPICS, known_topics=KNOWN_TOPICS)
    tracker.create_job(*JOB)
    outcome = tracker.process(record_of(poison.value, key=b"k", headers=poison.headers))
    assert outcome.dead_letter == (poison.reason, 1, b"k", poison.value, poison.headers)
    outcome.dead_letter = None
    assert outcome == Outcome()
    assert state(tracker) == ("Waiting", 0, [], [])


@pytest.mark.parametrize("sound", SOUND, ids=lambda sound: sound.name[:60])
def test_near_misses_are_no_bad_input(sound: Poison) -> None:
    tracker = NaiveTracker(tracking_topics=TRACKING_TOPICS, known_topics=KNOWN_TOPICS)
    assert tracker.process(record_of(sound.value)).dead_letter is None


def test_every_reason_that_a_record_can_have_by_itself_is_in_the_list() -> None:
    assert {poison.reason for poison in POISON} == {
        *("not-json", "not-an-object", "missing-field", "wrong-type", "bad-job-task-id"),
        *("percentage-out-of-range", "unknown-classifier", "unknown-version", "nul-in-text"),
        *("too-large", "too-deep", "destination-not-allowed", "destination-unknown"),
    }


def test_names_of_bad_input_are_distinct() -> None:
    assert [
        name for name, count in Counter(each.name for each in [*POISON, *SOUND]).items() if count > 1
    ] == []


def test_a_destination_that_matches_no_pattern_is_not_allowed() -> None:
    tracker = NaiveTracker(destinations=["worker-*", "exact"])
    sent = {
        to: send_message(tracker, None, to=to).dead_letter
        for to in ("worker-in", "exact", "exact2", "a-worker-in")
    }
    assert {to for to, refused in sent.items() if refused} == {"exact2", "a-worker-in"}


def test_a_replayed_dead_letter_is_counted(tracker: NaiveTracker) -> None:
    headers = (("tracker-error-count", b"2"), ("tracker-error-reason", b"not-json"), ("mine", b"1"))
    letter = tracker.process(record_of(b"[]", headers=headers)).dead_letter
    assert letter is not None
    assert (letter.error_count, letter.headers) == (3, (("mine", b"1"),))


def test_what_is_forwarded_has_no_count(tracker: NaiveTracker) -> None:
    headers = (("tracker-error-count", b"2"), ("mine", b"1"))
    sent = record_of(task_message(None, to="worker-in", tracking=None), headers=headers)
    [forwarded] = tracker.process(sent).forwarded
    assert forwarded.headers == (("mine", b"1"),)
