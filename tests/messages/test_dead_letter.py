"""The headers of dead letters."""

from collections.abc import Sequence

import pytest

from tracker.messages.dead_letter import (
    UNREADABLE_HEADERS,
    RefusalHeaders,
    Source,
    dead_letter_headers,
    forwarded_headers,
    headers_dropped_header,
    key_replaced_header,
    lost_parts,
    read_dead_letter_headers,
    replayed_headers,
    truncated_header,
)
from tracker.messages.refusal import Reason, Refusal

Headers = Sequence[tuple[str, bytes | None]]

SOURCE = Source("tracking", 3, 41, 1_700_000_000_000)
GROUP_ID = "g"


REASONS = """
    not-json not-an-object missing-field wrong-type bad-job-task-id percentage-out-of-range
    unknown-classifier unknown-version nul-in-text too-large too-deep destination-not-allowed
    destination-unknown database-rejected unreceivable
"""


def headers_of(headers: Headers | None, detail: str = "it is empty") -> list[tuple[str, bytes | None]]:
    own, ours = dead_letter_headers(headers, Refusal(Reason.NOT_JSON, detail), SOURCE, GROUP_ID)
    return own + ours


def detail_of(detail: str) -> str:
    return (dict(headers_of(None, detail))["tracker-error-detail"] or b"").decode()


@pytest.mark.parametrize("headers", [None, []])
def test_a_dead_letter_says_why_and_where_from(headers: Headers | None) -> None:
    assert headers_of(headers) == [
        ("tracker-error-reason", b"not-json"),
        ("tracker-error-detail", b"it is empty"),
        ("tracker-source-topic", b"tracking"),
        ("tracker-source-partition", b"3"),
        ("tracker-source-offset", b"41"),
        ("tracker-source-timestamp", b"1700000000000"),
        ("tracker-group", b"g"),
        ("tracker-error-count", b"1"),
    ]


def test_its_own_headers_come_first_in_their_order() -> None:
    own = [
        ("b", b"1"),
        ("a", None),
        ("b", b"\xff"),
        ("tracker", b"mine"),
        ("tracker-mine", b""),
        ("\u00fc", b""),
    ]
    assert headers_of(own)[: len(own)] == own


def test_those_of_an_earlier_refusal_are_replaced_and_counted_up() -> None:
    first = [*headers_of([("a", b"1")]), truncated_header(2_000_000)]
    first += [headers_dropped_header(2, 1_000, "ab"), key_replaced_header(1_000, "cd")]
    own, ours = dead_letter_headers(first, Refusal(Reason.TOO_DEEP, "deep"), SOURCE, GROUP_ID)
    assert own == [("a", b"1")]
    _, once = dead_letter_headers(None, Refusal(Reason.TOO_DEEP, "deep"), SOURCE, GROUP_ID)
    assert ours == [*once[:-1], ("tracker-error-count", b"2")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"1", b"2"),
        (b"41", b"42"),
        (b"", b"1"),
        (None, b"1"),
        (b"many", b"1"),
        (b"-5", b"1"),
        (b"1.5", b"1"),
        (b"\xff", b"1"),
        ("\u0663".encode(), b"1"),
        (b"9" * 5_000, b"1"),
    ],
)
def test_a_count_that_is_none_begins_at_one(before: bytes | None, after: bytes) -> None:
    assert dict(headers_of([("tracker-error-count", before)]))["tracker-error-count"] == after


@pytest.mark.parametrize("size", [999, 1_000, 1_001, 1_000_000])
def test_the_detail_has_at_most_1000_characters(size: int) -> None:
    shown = detail_of("ü" * size)
    assert len(shown) == min(size, 1_000)
    assert shown.endswith("…") == (size > 1_000)


@pytest.mark.parametrize(
    "character", ["\0", "\n", "\r", "\x1b", "\x7f", "\x85", "\u2028", "\u202e", "\ud800"]
)
def test_the_detail_has_no_control_characters(character: str) -> None:
    assert detail_of(f"a{character}b") == "a\N{REPLACEMENT CHARACTER}b"


def test_where_it_came_from_may_be_any_text() -> None:
    _, headers = dead_letter_headers(
        None, Refusal(Reason.NOT_JSON, ""), SOURCE._replace(topic="t\ud800"), "\u00fc"
    )
    assert dict(headers)["tracker-source-topic"] == b"t?"
    assert dict(headers)["tracker-group"] == "ü".encode()


def test_a_cut_dead_letter_says_how_long_it_was() -> None:
    assert truncated_header(1_234_567) == ("tracker-error-truncated", b"1234567")


def test_headers_that_cannot_be_read_are_left_out_and_marked() -> None:
    own, ours = dead_letter_headers(UNREADABLE_HEADERS, Refusal(Reason.WRONG_TYPE, ""), SOURCE, GROUP_ID)
    assert (own, ours[-1]) == ([], ("tracker-error-headers-unreadable", None))
    marked = [("own", b"1"), *ours]  # of a dead letter that is replayed, and whose header can be read
    kept, again = dead_letter_headers(marked, Refusal(Reason.NOT_JSON, ""), SOURCE, GROUP_ID)
    assert kept == [("own", b"1")]
    assert "tracker-error-headers-unreadable" not in dict(again)


def test_reasons_are_those_of_the_wire_format() -> None:
    assert [reason.value for reason in Reason] == REASONS.split()


@pytest.mark.parametrize("source", [SOURCE, SOURCE._replace(timestamp=-1)])
def test_what_is_written_can_be_read(source: Source) -> None:
    refusal = Refusal(Reason.NOT_JSON, "it is empty")
    own, ours = dead_letter_headers([("tracker-error-count", b"4"), ("a", None)], refusal, source, GROUP_ID)
    written = [*own, *ours, truncated_header(50_000)]
    assert read_dead_letter_headers(written) == RefusalHeaders(
        "not-json", "it is empty", 5, source, GROUP_ID, 50_000
    )


@pytest.mark.parametrize("headers", [None, [], UNREADABLE_HEADERS, [("tracker-error-count", b"1")]])
def test_headers_of_others_say_nothing(headers: Headers | None) -> None:
    assert read_dead_letter_headers(headers) is None


def test_of_what_is_malformed_or_missing_nothing_is_said() -> None:
    assert read_dead_letter_headers([("tracker-error-reason", None)]) == RefusalHeaders(
        "", "", 0, None, None, None
    )
    malformed = {
        "tracker-error-reason": b"\xff" + 200 * b"r",
        "tracker-error-detail": 2_000 * b"d",
        "tracker-error-count": b"9" * 30,
        "tracker-source-topic": b"t",
        "tracker-source-partition": b"-1",
        "tracker-source-offset": b"1",
        "tracker-group": b"\xff",
        "tracker-error-truncated": b"1.5",
    }
    assert read_dead_letter_headers([*malformed.items()]) == RefusalHeaders(
        "\N{REPLACEMENT CHARACTER}" + 99 * "r", 1_000 * "d", 0, None, "\N{REPLACEMENT CHARACTER}", None
    )


def test_a_replay_has_the_records_own_headers_and_the_count() -> None:
    refusal = Refusal(Reason.NOT_JSON, "it is empty")
    own, ours = dead_letter_headers(
        [("a", None), ("tracker-x", b"1"), ("a", b"2")], refusal, SOURCE, GROUP_ID
    )
    notes = [truncated_header(1), headers_dropped_header(1, 1, "x"), key_replaced_header(1, "x")]
    assert replayed_headers([*own, *ours, *notes]) == [*own, ("tracker-error-count", b"1")]
    assert lost_parts([*own, *ours]) == []
    assert lost_parts([*own, *ours, *notes]) == ["value", "headers", "key"]


def test_what_is_forwarded_has_no_count_and_is_otherwise_untouched() -> None:
    headers: Headers = [("a", None), ("tracker-error-reason", b"x"), ("a", b"2")]
    assert forwarded_headers(headers) is headers
    assert (
        forwarded_headers([("tracker-error-count", b"3"), *headers, ("tracker-error-count", b"")]) == headers
    )
