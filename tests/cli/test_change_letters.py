"""`tracker dead-letters replay` and `drop`: what is sent back, and what stays as it is."""

import sys
from contextlib import closing
from itertools import pairwise
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from tests.cli.conftest import Command, names
from tests.support.dead_letters import NOON_MS, SOURCE, DeadLetterTopic
from tests.support.kafka import Kafka, MakeTopic, Received
from tests.support.messages import task_message
from tests.support.raw_producer import send_raw
from tracker.messages.dead_letter import (
    Source,
    headers_dropped_header,
    key_for_compaction,
    key_replaced_header,
    truncated_header,
)
from tracker.messages.refusal import Reason


@pytest.fixture
def tracking(topic: MakeTopic) -> str:
    """A tracking topic with three Kafka partitions."""
    return topic("tracking", partitions=3)


@pytest.fixture
def source(tracking: str) -> Source:
    """A place in the tracking topic."""
    return SOURCE._replace(topic=tracking, partition=2)


def read(dead: DeadLetterTopic, topic: str) -> list[Received]:
    with closing(Kafka(dead.bootstrap_servers)) as kafka:
        kafka.wait_for_markers(topic)
        return kafka.read(topic)


def states(letters: Command) -> list[str]:
    return [row["state"] for row in letters("list", "--all", "--json").objects][::-1]


def counts(result: Any) -> tuple[int, int, int]:
    [row] = result.objects
    assert list(row) == ["matched", "changed", "skipped"]
    return row["matched"], row["changed"], row["skipped"]


def test_a_replayed_letter_is_the_record_that_was_refused_and_its_count(
    letters: Command, dead: DeadLetterTopic, source: Source
) -> None:
    headers = [("own", b"1"), ("none", None), ("own", b"2")]
    name = dead.add(b"\xff{", key=b"\xfe", source=source, headers=headers)
    stays = dead.add(source=source)
    done = letters("replay", name)
    assert (done.status, done.out, done.err) == (0, "Replayed 1 of 1 dead letter.\n", "")
    [sent] = read(dead, source.topic)
    assert (sent.key, sent.value, sent.kafka_partition) == (b"\xfe", b"\xff{", 2)
    assert sent.headers == (*headers, ("tracker-error-count", b"1"))
    assert names(letters("list", "--json")) == [stays]
    assert letters("show", name, "--json").objects[0]["state"] == "replayed"


def test_the_states_are_records_of_a_compacted_topic_that_the_first_change_makes(
    letters: Command, dead: DeadLetterTopic, source: Source, admin: AdminClient
) -> None:
    first, second = (dead.add(source=source, kafka_partition=n) for n in range(2))
    assert letters("replay", first).status == letters("drop", second).status == 0
    written = {record.key: record.value for record in read(dead, f"{dead.name}.state")}
    assert written == {first.encode(): b"replayed", second.encode(): b"dropped"}
    with closing(Kafka(dead.bootstrap_servers)) as kafka:
        assert kafka.setting(f"{dead.name}.state", "cleanup.policy") == "compact"


def test_filters_select_what_is_changed_and_the_oldest_goes_first(
    letters: Command, dead: DeadLetterTopic, source: Source
) -> None:
    added = [
        dead.add(
            task_message(f"acme:{'ab'[n % 2]}.{n}"),
            reason=Reason.TOO_DEEP if n < 6 else Reason.TOO_LARGE,
            source=source,
            at_ms=NOON_MS + n,
        )
        for n in range(10)
    ]
    options = ("--reason", "too-deep", "--job", "acme:a", "--since", str(NOON_MS + 1), "--all-matching")
    done = letters("replay", *options, "--json")
    assert (done.status, counts(done)) == (0, (2, 2, 0))
    assert [record.task for record in read(dead, source.topic)] == ["acme:a.2", "acme:a.4"]
    assert done.err == "Looked at 9 records, all since then.\n"
    assert counts(letters("drop", "--all-matching", "--source", source.topic, "--json")) == (8, 8, 0)
    assert len(added) == len(states(letters))
    assert names(letters("list", "--json")) == []
    assert len(read(dead, source.topic)) == 2


def test_a_limit_takes_the_newest(letters: Command, dead: DeadLetterTopic, source: Source) -> None:
    for number in range(5):
        dead.add(b"%d" % number, source=source, at_ms=NOON_MS + number, kafka_partition=number % 3)
    would = letters("replay", "--all-matching", "--limit", "2", "--dry-run")
    assert (would.status, would.out) == (0, "Would replay 2 of 2 dead letters.\n")
    assert counts(letters("replay", "--all-matching", "--limit", "2", "--json")) == (2, 2, 0)
    assert sorted(record.value or b"" for record in read(dead, source.topic)) == [b"3", b"4"]
    assert counts(letters("drop", "--all-matching", "--limit", "1", "--json")) == (1, 1, 0)
    assert counts(letters("replay", "--all-matching", "--limit", "9", "--json")) == (2, 2, 0)
    assert sorted(record.value or b"" for record in read(dead, source.topic)) == [b"0", b"1", b"3", b"4"]


def test_nothing_is_replayed_twice_nor_after_it_was_dropped(
    letters: Command, dead: DeadLetterTopic, source: Source
) -> None:
    added = [dead.add(source=source) for _ in range(3)]
    assert counts(letters("replay", added[0], "--json")) == (1, 1, 0)
    assert counts(letters("drop", added[1], "--json")) == (1, 1, 0)
    again = letters("replay", *added, "--json")
    assert (again.status, counts(again)) == (0, (3, 1, 2))
    assert again.err.splitlines() == [
        f"Left {added[0]}: it was replayed before.",
        f"Left {added[1]}: it was dropped before.",
    ]
    dropped = letters("drop", *added)
    assert (dropped.status, dropped.out) == (0, "Dropped 0 of 3 dead letters.\n")
    assert len(read(dead, source.topic)) == 2
    assert states(letters) == ["replayed", "dropped", "replayed"]


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(
    letters: Command, dead: DeadLetterTopic, source: Source, admin: AdminClient
) -> None:
    dead.add(source=source)
    dead.add(source=source, headers=[("tracker-error-count", b"5")])
    would = letters("replay", "--all-matching", "--dry-run")
    assert (would.status, would.out) == (0, "Would replay 1 of 2 dead letters.\n")
    assert counts(letters("drop", "--all-matching", "--dry-run", "--json")) == (2, 2, 0)
    assert read(dead, source.topic) == []
    assert states(letters) == ["open", "open"]
    assert f"{dead.name}.state" not in admin.list_topics(timeout=30).topics


def test_letters_that_were_refused_more_often_are_left(
    letters: Command, dead: DeadLetterTopic, source: Source
) -> None:
    for count in (1, 2, 4, 5):  # and once more
        dead.add(b"%d" % count, source=source, headers=[("tracker-error-count", b"%d" % count)])
    few = letters("replay", "--all-matching", "--max-count", "2", "--json")
    assert (few.status, counts(few)) == (0, (4, 1, 3))
    assert counts(letters("replay", "--all-matching", "--json")) == (3, 2, 1)
    assert [record.value for record in read(dead, source.topic)] == [b"1", b"2", b"4"]
    assert [record.header("tracker-error-count") for record in read(dead, source.topic)] == ["2", "3", "5"]
    assert counts(letters("drop", "--all-matching", "--json")) == (1, 1, 0)


def test_what_cannot_be_replayed_is_said_and_the_others_go(
    letters: Command, dead: DeadLetterTopic, source: Source, topic: MakeTopic
) -> None:
    def marked(*headers: tuple[str, bytes | None]) -> str:
        made = dead.letters.make(b"k", b"{", (), dead.refusal(), source)
        return dead.add_record(b"{", key=b"k", headers=[*made.headers, *headers])

    small = topic("small", **{"max.message.bytes": "5000"})
    cut = marked(truncated_header(99), headers_dropped_header(1, 2, "x"), key_replaced_header(1, "x"))
    without_source = dead.add_record(b"", headers=[("tracker-error-reason", b"not-json")])
    refused = {
        dead.add(source=source._replace(topic="it-is-gone")): "its source topic 'it-is-gone' does not exist",
        dead.add(source=source._replace(topic="__x")): "its source topic '__x' is no tracking topic",
        dead.add(source=source._replace(topic=dead.name)): f"its source topic '{dead.name}' is no tracking",
        dead.add(b"x" * 9_000, source=source._replace(topic=small)): f"'{small}' does not take it: Kafka",
        dead.add(source=source, reason=Reason.UNRECEIVABLE): "it stands for records that could not be",
        dead.add_record(b"hello"): "the tracker has not written this record",
        without_source: "it does not say where it was read",
        f"{dead.name}:1:77": "there is no such record",
        f"{dead.name}:9:0": "there is no such record",
    }
    good = [dead.add(b"%d" % n, source=source._replace(topic=small)) for n in range(3)]
    done = letters("replay", *refused, cut, *good, "--json")
    assert (done.status, counts(done)) == (1, (13, 3, 10))
    for name, why in refused.items():
        assert [line for line in done.err_lines if why in line], (name, why, done.err)
    [said] = [line for line in done.err_lines if cut in line]
    assert said.endswith("value, headers and key did not fit the dead-letter topic whole.")
    assert sorted(record.value or b"" for record in read(dead, small)) == [b"0", b"1", b"2"]
    assert read(dead, source.topic) == []
    every = letters("replay", "--all-matching")
    assert (every.status, every.out) == (1, "Replayed 0 of 7 dead letters.\n")
    assert counts(letters("drop", cut, f"{dead.name}:1:77", "--json")) == (2, 1, 1)


def test_letters_of_many_topics_and_a_topic_with_fewer_kafka_partitions(
    letters: Command, dead: DeadLetterTopic, topic: MakeTopic
) -> None:
    topics = [topic("source", partitions=n) for n in (1, 4)]
    for name in topics:
        dead.add(key=b"k", source=SOURCE._replace(topic=name, partition=3))
    assert counts(letters("replay", "--all-matching", "--json")) == (2, 2, 0)
    assert [read(dead, name)[0].kafka_partition for name in topics] == [0, 3]


def test_keys_and_headers_that_the_record_did_not_have_are_left_out(
    letters: Command, dead: DeadLetterTopic, source: Source
) -> None:
    dead.add(b"1", key=key_for_compaction(source), source=source)
    send_raw(dead.bootstrap_servers, dead.name, b"x", [(b"x-\xff", b"1")])
    made = dead.letters.make(None, None, None, dead.refusal(), source)
    dead.add_record(None, headers=[*made.headers, ("tracker-error-headers-unreadable", None)])
    assert counts(letters("replay", "--all-matching", "--json")) == (2, 2, 0)
    count = ("tracker-error-count", b"1")
    assert [(record.key, record.value, record.headers) for record in read(dead, source.topic)] == [
        (None, b"1", (count,)),
        (None, None, (count,)),
    ]


def test_thousands_are_changed_in_bounded_transactions(
    letters: Command, dead: DeadLetterTopic, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = [b"%05d" % n for n in range(1_700)]
    dead.add_many(added, source=source)
    done = letters("replay", "--all-matching", "--json")
    assert (done.status, counts(done)) == (0, (1_700, 1_700, 0))
    sent = read(dead, source.topic)
    assert [record.value for record in sent] == added
    # A marker ends each transaction, and takes an offset.
    offsets = [record.offset for record in sent]
    sizes = [after - before for before, after in pairwise(offsets)]
    assert [at + 1 for at, step in enumerate(sizes) if step > 1] == [500, 1_000, 1_500]


def test_large_letters_are_fewer_in_a_transaction(
    letters: Command, dead: DeadLetterTopic, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracker.dead_letters.changing._BYTES", 300_000)
    dead.add_many([b"x" * 100_000] * 8, source=source)
    assert counts(letters("replay", "--all-matching", "--json")) == (8, 8, 0)
    offsets = [record.offset for record in read(dead, source.topic)]
    assert offsets == [0, 1, 2, 4, 5, 6, 8, 9]


def test_letters_far_from_each_other_are_found(
    letters: Command, dead: DeadLetterTopic, source: Source
) -> None:
    first = dead.add(b"first", source=source)
    dead.in_transaction(12_000, commit=False)
    last = dead.add(b"last", source=source)
    assert counts(letters("replay", last, first, first, "--json")) == (2, 2, 0)
    assert [record.value for record in read(dead, source.topic)] == [b"first", b"last"]


def test_a_topic_of_states_that_forgets_is_refused(
    letters: Command, dead: DeadLetterTopic, source: Source
) -> None:
    name = dead.add(source=source)
    with closing(Kafka(dead.bootstrap_servers)) as kafka:
        kafka.create({f"{dead.name}.state": 1})
    refused = letters("replay", name)
    assert (refused.status, refused.out) == (1, "")
    assert "cleanup.policy=delete" in refused.err
    assert read(dead, source.topic) == []


@pytest.mark.parametrize("answer", ["y", "n", ""])
def test_on_a_terminal_it_asks_before_all_that_match(
    letters: Command, dead: DeadLetterTopic, source: Source, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        dead.add(source=source)
    monkeypatch.setattr("tracker.cli.asking.is_terminal", lambda: True)
    done = letters("replay", "--all-matching", stdin=answer.encode() + b"\n")
    assert "Replay 2 dead letters? [y/N]" in done.err
    if answer == "y":
        assert (done.status, done.out) == (0, "Replayed 2 of 2 dead letters.\n")
    else:
        assert (done.status, done.out) == (1, "")
        assert done.err.endswith("Nothing was replayed.\n")
    assert len(read(dead, source.topic)) == (2 if answer == "y" else 0)


def test_yes_names_and_dry_runs_ask_nothing(
    letters: Command, dead: DeadLetterTopic, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = [dead.add(source=source) for _ in range(3)]
    monkeypatch.setattr("tracker.cli.asking.is_terminal", lambda: True)
    assert letters("replay", added[0]).status == 0
    assert letters("drop", "--all-matching", "--dry-run").status == 0
    assert letters("drop", "--all-matching", "--yes").status == 0
    assert letters("drop", "--all-matching").out == "Dropped 0 of 0 dead letters.\n"
    assert states(letters) == ["replayed", "dropped", "dropped"]


def test_a_bar_is_drawn_on_a_terminal_for_what_takes_long(
    letters: Command, dead: DeadLetterTopic, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead.add_many([b"x"] * 1_200, source=source)
    monkeypatch.setattr("tracker.cli.progress_bar._SHOWN_AFTER_S", 0.0)
    assert "Dropping" not in letters("drop", "--all-matching", "--dry-run").err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    done = letters("drop", "--all-matching")
    assert done.out == "Dropped 1,200 of 1,200 dead letters.\n"
    assert "Dropping" in done.err
    assert "/1200" in done.err


@pytest.mark.parametrize("command", ["replay", "drop"])
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "give RECORDs, or --all-matching"),
        (("dead:0:1", "--all-matching"), "give RECORDs or --all-matching, not both"),
        (("dead:0:1", "--reason", "too-deep"), "are for --all-matching"),
        (("dead:0:1", "--limit", "1"), "are for --all-matching"),
        (("dead:0:1",), "'dead' is not the dead-letter topic, which is 'dead-"),
        (("17",), "'17' is not TOPIC:PARTITION:OFFSET"),
        (("--all-matching", "--since", "yesterday"), "'yesterday' is not a time"),
        (("--all-matching", "--scan-limit", "0"), "--scan-limit"),
        (("--all-matching", "--source", "no-such-topic"), "there is no topic 'no-such-topic'"),
    ],
)
def test_bad_input_is_a_sentence(
    letters: Command, command: str, arguments: tuple[str, ...], text: str
) -> None:
    refused = letters(command, *arguments)
    assert (refused.status, refused.out) == (2, "")
    assert text in refused.err


def test_transactions_are_no_longer_than_the_brokers_allow(
    letters: Command, dead: DeadLetterTopic, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracker.kafka.properties.TRANSACTION_TIMEOUT_MS", 1_000_000)
    name = dead.add(source=source)
    users = letters("replay", name, TRACKER_KAFKA_PRODUCER_TRANSACTION_TIMEOUT_MS="1000000")
    assert (users.status, users.out) == (1, "")
    assert "set TRACKER_KAFKA_PRODUCER_TRANSACTION_TIMEOUT_MS to 900000" in users.err
    assert letters("replay", name).status == 0


def test_workers_that_use_no_transactions_change_nothing_here(
    letters: Command, dead: DeadLetterTopic, source: Source
) -> None:
    dead.add_many([b"1", b"2"], source=source)
    done = letters("replay", "--all-matching", "--json", TRACKER_DELIVERY="at_least_once")
    assert (done.status, counts(done)) == (0, (2, 2, 0))
    assert [record.value for record in read(dead, source.topic)] == [b"1", b"2"]


def test_an_empty_topic_is_no_fault(letters: Command) -> None:
    done = letters("replay", "--all-matching", "--json")
    assert (done.status, counts(done)) == (0, (0, 0, 0))
