"""A dead letter fits its topic, whatever its record has."""

import pytest
from confluent_kafka import KafkaError
from hypothesis import given
from hypothesis import strategies as st

from tests.support.profile import THOROUGH
from tracker.kafka import dead_letters
from tracker.kafka.dead_letters import MIN_BYTES, DeadLetters
from tracker.kafka.producer import OutgoingMessage
from tracker.kafka.topics import TopicLimits
from tracker.messages.dead_letter import Source
from tracker.messages.refusal import Reason, Refusal
from tracker.settings import load

SETTINGS = load({"TRACKER_KAFKA_BOOTSTRAP_SERVERS": "broker:9092", "TRACKER_DATABASE_URL": "postgresql:///x"})
SOURCE = Source("t" * 249, 2_147_483_647, 2**63 - 1, 2**62)
WHY = Refusal(Reason.NOT_JSON, "\N{GRINNING FACE}" * 2_000)
TOO_LARGE, NO_KEY = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), KafkaError(KafkaError.INVALID_RECORD)


class Topic:
    """A dead-letter topic whose settings a test changes."""

    def __init__(self, max_message_bytes: int = 1_000_000, *, is_compacted: bool = False) -> None:
        self.limits = TopicLimits(max_message_bytes, is_compacted)
        self.letters = DeadLetters(SETTINGS, lambda: self.limits)

    def make(
        self, key: bytes | None = b"key", value: bytes | None = b"value", headers: object = ()
    ) -> OutgoingMessage:
        return self.letters.make(key, value, headers, WHY, SOURCE)


def size(letter: OutgoingMessage) -> int:
    headers = sum(len(name.encode()) + len(value or b"") + 10 for name, value in letter.headers)
    return len(letter.key or b"") + len(letter.value or b"") + headers


def note(letter: OutgoingMessage, name: str) -> str:
    return (dict(letter.headers).get(f"tracker-error-{name}") or b"").decode()


parts = st.integers(0, 40_000).map(lambda length: b"x" * length)
headers = st.lists(st.tuples(st.sampled_from(["a", "\u00fc" * 100]), parts | st.none()), max_size=4)


@given(parts | st.none(), parts | st.none(), headers, st.integers(MIN_BYTES, 60_000))
@THOROUGH
def test_it_fits_and_says_what_was_left_out(
    key: bytes | None, value: bytes | None, own: list[tuple[str, bytes | None]], limit_bytes: int
) -> None:
    letter = Topic(limit_bytes).make(key, value, own)
    assert size(letter) <= limit_bytes
    assert (letter.value is None) == (value is None)
    assert (letter.value == value) != bool(note(letter, "truncated"))
    assert (letter.key == key) != bool(note(letter, "key-replaced"))
    kept = letter.headers[: len(own)]
    assert (kept == own) != bool(note(letter, "headers-dropped"))


def test_the_value_is_cut_first_then_headers_go_then_the_key() -> None:
    large = b"x" * 30_000
    topic = Topic(20_000)
    only_value = topic.make(value=large, headers=[("own", b"1")])
    assert (only_value.key, only_value.headers[0]) == (b"key", ("own", b"1"))
    assert 10_000 < len(only_value.value or b"") < 20_000
    assert note(only_value, "truncated") == "30000"
    without_headers = topic.make(headers=[("own", large), ("b", None)])
    assert (without_headers.key, without_headers.value) == (b"key", b"value")
    assert note(without_headers, "headers-dropped").startswith("2 headers, 30004 bytes, sha256 ")
    without_key = topic.make(key=large)
    assert without_key.value == b"value"
    assert note(without_key, "key-replaced").startswith("30000 bytes, sha256 ")
    assert len(without_key.key or b"") == 64


def test_a_record_without_a_key_gets_one_where_the_topic_is_compacted() -> None:
    assert Topic().make(key=None).key is None
    assert Topic(is_compacted=True).make(key=None).key == f"{'t' * 249}:2147483647:{2**63 - 1}".encode()


def test_a_topic_whose_settings_one_may_not_see_shows_them_by_what_it_refuses() -> None:
    topic = Topic()
    topic.letters.on_refused(NO_KEY)
    assert topic.make(key=None).key is not None
    for _ in range(30):
        topic.letters.on_refused(TOO_LARGE)
    assert topic.make(value=b"x" * 64).value == b"x" * 64
    assert size(topic.make(value=b"x" * 100_000)) <= MIN_BYTES


def test_a_refusal_for_another_reason_cuts_nothing() -> None:
    topic = Topic()
    for _ in range(30):
        topic.letters.on_refused(NO_KEY)
    assert topic.make(value=b"x" * 100_000).value == b"x" * 100_000


def test_letters_are_whole_again_once_their_topic_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    topic = Topic(20_000)
    assert len(topic.make(value=b"x" * 100_000).value or b"") < 20_000
    topic.limits = TopicLimits(1_000_000)
    monkeypatch.setattr(dead_letters, "_ASK_AGAIN_S", 0.0)
    topic.letters.on_refused(TOO_LARGE)
    assert topic.make(value=b"x" * 100_000).value == b"x" * 100_000
