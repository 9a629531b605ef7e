"""`tracker dead-letters`: the newest first, found by what they say, without a database."""

import json
import re

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from tests.cli.conftest import Command, names
from tests.support.dead_letters import HOUR_MS, NOON_MS, SOURCE, DeadLetterTopic
from tests.support.kafka import DEADLINE_S, MakeTopic
from tests.support.messages import report, task_message, tracking_report
from tests.support.raw_producer import send_raw
from tracker.messages.refusal import Reason


def test_a_dead_letter_is_listed_with_all_that_is_said_of_it(letters: Command, dead: DeadLetterTopic) -> None:
    value = task_message("acme:job-7.3.0")
    headers = [("tracker-error-count", b"2"), ("own", b"1")]
    name = dead.add(value, reason=Reason.BAD_JOB_TASK_ID, detail="no index is 0", headers=headers)
    listed = letters("list", "--json")
    assert listed.objects == [
        {
            "topic": dead.name,
            "kafkaPartition": 0,
            "offset": 0,
            "timestamp": NOON_MS,
            "reason": "bad-job-task-id",
            "detail": "no index is 0",
            "job": "acme:job-7",
            "count": 3,
            "sizeBytes": len(value),
            "source": {"topic": "tracking", "kafkaPartition": 3, "offset": 17, "timestamp": NOON_MS - 5_000},
            "state": "open",
        }
    ]
    assert listed.err == "Looked at 1 record, all that there are.\n"
    header, row = letters("list").lines
    assert re.split("  +", header) == [
        *("RECORD", "TIME", "REASON", "JOB", "BYTES", "REFUSED", "STATE", "DETAIL")
    ]
    assert re.split("  +", row) == [
        *(name, "2024-03-01 12:00:00Z", "bad-job-task-id", "acme:job-7", str(len(value)), "3"),
        *("open", "no index is 0"),
    ]


def test_the_newest_of_all_kafka_partitions_comes_first(letters: Command, dead: DeadLetterTopic) -> None:
    added = [dead.add(at_ms=NOON_MS + 1_000 * n, kafka_partition=(n * n) % 3) for n in range(12)]
    assert names(letters("list", "--json")) == added[::-1]
    assert names(letters("list", "--limit", "5", "--json")) == added[:-6:-1]


def test_on_a_terminal_the_name_of_a_dead_letter_is_in_one_piece(
    letters: Command, dead: DeadLetterTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = dead.add(task_message("acme:job"), detail="it says so. " * 50)
    monkeypatch.setenv("COLUMNS", "90")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    drawn = letters("list").lines
    assert len(drawn) > 5
    assert [line.split()[0] for line in drawn if dead.name in line] == [name]


def test_a_limit_says_that_there_may_be_more(letters: Command, dead: DeadLetterTopic) -> None:
    added = [dead.add(at_ms=NOON_MS + n) for n in range(102)]
    listed = letters("list", "--json")
    assert names(listed) == added[:1:-1]
    assert listed.err == (
        "Looked at 100 records, back to 2024-03-01 12:00:00Z; there may be more: see --limit and"
        " --scan-limit.\n"
    )
    whole = letters("list", "--limit", "0", "--json")
    assert (len(names(whole)), whole.err) == (102, "Looked at 102 records, all that there are.\n")


def test_a_scan_limit_ends_the_search(letters: Command, dead: DeadLetterTopic) -> None:
    dead.add(reason=Reason.TOO_DEEP, at_ms=NOON_MS)
    for number in range(1, 6):
        dead.add(at_ms=NOON_MS + number * HOUR_MS, kafka_partition=number % 3)
    searched = letters("list", "--reason", "too-deep", "--scan-limit", "5", "--json")
    assert (searched.status, searched.out) == (0, "")
    assert searched.err.startswith("Looked at 5 records, back to 2024-03-01 13:00:00Z; there may be more")
    searched = letters("list", "--reason", "too-deep", "--scan-limit", "6", "--json")
    assert (len(names(searched)), searched.err) == (1, "Looked at 6 records, all that there are.\n")
    summary = letters("list", "--summary", "--scan-limit", "2", "--json")
    assert sum(row["count"] for row in summary.objects) == 2


def test_filters(letters: Command, dead: DeadLetterTopic) -> None:
    deep = dead.add(task_message("acme:a.1"), reason=Reason.TOO_DEEP, at_ms=NOON_MS)
    other = dead.add(task_message("b.2"), source=SOURCE._replace(topic="other"), at_ms=NOON_MS + 1)
    reported = dead.add(
        tracking_report(report("acme:a.9", "Complete")),
        reason=Reason.WRONG_TYPE,
        at_ms=NOON_MS + 2,
        kafka_partition=1,
    )

    def found(*arguments: str) -> list[str]:
        return names(letters("list", "--json", *arguments))

    assert found() == [reported, other, deep]
    assert found("--reason", "too-deep") == [deep]
    assert found("--reason", "too-deep", "--reason", "wrong-type") == [reported, deep]
    assert found("--source", "other") == [other]
    assert found("--source", "other", "--source", "tracking") == [reported, other, deep]
    assert found("--job", "acme:a") == [reported, deep]
    assert found("--job", "b") == [other]
    assert found("--job", "default:b", "--reason", "too-deep") == []
    assert found("--since", str(NOON_MS + 1)) == [reported, other]
    assert found("--until", str(NOON_MS + 1)) == [deep]
    assert found("--since", "2024-03-01T13:00:00.001+01:00", "--until", "2024-03-01T12:00:00.002") == [other]
    assert found("--since", "2024-03-02") == []


def test_since_leaves_out_what_is_older_though_newer_ones_come_before_it(
    letters: Command, dead: DeadLetterTopic
) -> None:
    """Times are those of workers' clocks: they need not grow with the offsets."""
    late = dead.add(at_ms=NOON_MS + HOUR_MS)
    early = dead.add(at_ms=NOON_MS)
    latest = dead.add(at_ms=NOON_MS + 2 * HOUR_MS)
    dead.add(at_ms=NOON_MS - HOUR_MS, kafka_partition=1)
    since = letters("list", "--since", str(NOON_MS + HOUR_MS), "--json")
    assert names(since) == [latest, late]
    assert since.err == "Looked at 3 records, all since then.\n"
    assert names(letters("list", "--since", str(NOON_MS), "--json")) == [latest, early, late]


def test_a_summary_counts_by_hour_and_reason(letters: Command, dead: DeadLetterTopic) -> None:
    for number in range(4):
        dead.add(at_ms=NOON_MS + number * HOUR_MS // 2, kafka_partition=number % 3)
    dead.add(at_ms=NOON_MS + HOUR_MS - 1, reason=Reason.TOO_DEEP)
    assert letters("list", "--summary", "--json").objects == [
        {"hour": NOON_MS + HOUR_MS, "reason": "not-json", "count": 2},
        {"hour": NOON_MS, "reason": "not-json", "count": 2},
        {"hour": NOON_MS, "reason": "too-deep", "count": 1},
    ]
    plain = letters("list", "--summary", "--reason", "too-deep")
    assert [line.split() for line in plain.lines] == [
        ["HOUR", "REASON", "COUNT"],
        ["2024-03-01", "12:00:00Z", "too-deep", "1"],
    ]
    assert plain.err == "Looked at 5 records, all that there are.\n"


def test_markers_and_aborted_records_are_not_listed(letters: Command, dead: DeadLetterTopic) -> None:
    first = dead.add(at_ms=NOON_MS - 1)
    dead.in_transaction(1_000, commit=False)
    dead.in_transaction(2, commit=True)
    dead.in_transaction(3, commit=False)
    last = dead.add(at_ms=NOON_MS + 1)
    dead.in_transaction(3, commit=False)
    listed = letters("list", "--json")
    committed = [f"{dead.name}:0:{offset}" for offset in (1_003, 1_002)]
    assert names(listed) == [last, *committed, first]
    assert listed.err == "Looked at 4 records, all that there are.\n"
    aborted = letters("show", f"{dead.name}:0:5")
    assert (aborted.status, aborted.out) == (1, "")
    assert "no such record" in aborted.err.lower()


def test_many_are_read_step_by_step(letters: Command, dead: DeadLetterTopic) -> None:
    for _ in range(3):
        dead.in_transaction(5_000, commit=True)
    listed = letters("list", "--limit", "0", "--json")
    markers = {5_000, 10_001}
    offsets = [offset for offset in range(15_002) if offset not in markers]
    assert [row["offset"] for row in listed.objects] == offsets[::-1]


def test_what_was_replayed_or_dropped_is_left_out(
    letters: Command, dead: DeadLetterTopic, topic: MakeTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = [dead.add(at_ms=NOON_MS + n, kafka_partition=n % 3) for n in range(6)]
    states = topic("dead", partitions=2)
    monkeypatch.setattr("tracker.dead_letters.reading.state_topic", lambda _: states)
    for name, state in (
        (added[0], b"dropped"),
        (added[1], b"replayed"),
        (added[2], b"replayed"),
        (added[2], None),  # what a later version may do
        (added[3], b"a word of a later version"),
        ("another-topic:0:1", b"dropped"),
        (f"{dead.name}:0:99", b"dropped"),
        ("no name", b"dropped"),
    ):
        dead.add_record(state, key=name.encode(), topic=states, kafka_partition=len(name) % 2)
    dead.add_record(b"dropped", topic=states)
    assert names(letters("list", "--json")) == added[:1:-1]
    every = letters("list", "--all", "--json")
    assert names(every) == added[::-1]
    assert [row["state"] for row in every.objects] == [*["open"] * 4, "replayed", "dropped"]
    assert sum(row["count"] for row in letters("list", "--summary", "--json").objects) == 4
    assert letters("show", added[1], "--json").objects[0]["state"] == "replayed"


def test_the_topic_of_states_has_the_name_of_the_dead_letter_topic(
    letters: Command, dead: DeadLetterTopic, admin: AdminClient
) -> None:

    name = dead.add()
    states = f"{dead.name}.state"
    admin.create_topics([NewTopic(states, 1, config={"cleanup.policy": "compact"})])[states].result(
        DEADLINE_S
    )
    dead.add_record(b"dropped", key=name.encode(), topic=states)
    assert names(letters("list", "--json")) == []


def test_values_of_any_kind(letters: Command, dead: DeadLetterTopic) -> None:
    binary = dead.add(b"\xff\x00\x1b[2J", key=b"\xfe", at_ms=NOON_MS)
    without = dead.add(None, key=None, at_ms=NOON_MS + 1)
    huge = dead.add(b'"' + b"x" * 900_000, at_ms=NOON_MS + 2)
    listed = letters("list", "--json").objects
    assert [(row["sizeBytes"], row["job"]) for row in listed] == [(900_001, None), (0, None), (6, None)]
    shown = letters("show", binary, "--value")
    assert r"value    \xff\x00\x1b[2J" in shown.lines
    assert r"key      \xfe" in shown.lines
    assert letters("show", binary, "--value", "--json").objects[0].items() >= {
        ("keyBase64", "/g=="),
        ("valueBase64", "/wAbWzJK"),
    }
    assert letters("show", without, "--value", "--json").objects[0].items() >= {
        ("key", None),
        ("value", None),
    }
    assert letters("show", huge, "--value", "--json").objects[0]["value"] == '"' + "x" * 900_000


def test_of_a_value_that_was_cut_the_full_size_is_said(
    letters: Command, dead: DeadLetterTopic, bootstrap_servers: str
) -> None:
    small = DeadLetterTopic(dead.name, bootstrap_servers, max_message_bytes=20_000)
    small.add(b"x" * 50_000)
    assert letters("list", "--json").objects[0]["sizeBytes"] == 50_000


def test_a_dead_letter_is_shown_with_its_headers_and_its_value_only_if_asked(
    letters: Command, dead: DeadLetterTopic
) -> None:
    name = dead.add(b'{"a":\n1}', headers=[("own\n", b"x\x1b[31m"), ("none", None)], detail="two\nlines")
    shown = letters("show", name)
    assert shown.status == 0
    assert [line.split(maxsplit=1) for line in shown.lines][:10] == [
        ["record", name],
        ["time", "2024-03-01 12:00:00Z"],
        ["reason", "not-json"],
        ["detail", "two\N{REPLACEMENT CHARACTER}lines"],
        ["job"],
        ["refused", "once"],
        ["source", "tracking:3:17"],
        ["state", "open"],
        ["bytes", "8"],
        ["key", "key"],
    ]
    assert r"header   own\n=x\x1b[31m" in shown.lines
    assert "header   tracker-error-reason=not-json" in shown.lines
    assert "value" not in shown.out
    assert letters("show", name, "--value").lines == [*shown.lines, r'value    {"a":\n1}']
    [listed] = letters("list", "--json").objects
    [as_json] = letters("show", name, "--json").objects
    assert as_json.items() >= listed.items()
    assert as_json["headers"][:2] == [
        {"name": "own\n", "value": "x\x1b[31m"},
        {"name": "none", "value": None},
    ]
    assert "value" not in as_json


def test_records_that_the_tracker_has_not_written_are_counted_and_not_listed(
    letters: Command, dead: DeadLetterTopic, bootstrap_servers: str
) -> None:
    foreign = dead.add_record(b"hello", headers=[("own", b"1")], at_ms=NOON_MS + 5)
    dead.add_record(None, at_ms=NOON_MS + 6)
    unreadable = [(b"x-\xff", b"1"), (b"tracker-error-reason", b"not-json")]
    send_raw(bootstrap_servers, dead.name, b"x", unreadable)
    dead.add_record(b"x", headers=[("tracker-error-count", b"7")])
    mine = dead.add()
    listed = letters("list", "--json")
    assert names(listed) == [mine]
    assert listed.err == "Looked at 5 records (4 of them not of the tracker), all that there are.\n"
    shown = letters("show", foreign, "--value")
    assert "reason  none: the tracker has not written this record" in shown.lines
    assert [line for line in shown.lines if "own=1" in line or "hello" in line] == [
        "header  own=1",
        "value   hello",
    ]
    [as_json] = letters("show", foreign, "--json").objects
    assert (as_json["reason"], as_json["source"], as_json["count"]) == (None, None, None)


def test_headers_that_others_have_written_break_nothing(letters: Command, dead: DeadLetterTopic) -> None:
    headers = [
        ("tracker-error-reason", b"\xff\x1b" + b"y" * 5_000),
        ("tracker-error-count", b"-1"),
        ("tracker-source-topic", None),
        ("tracker-source-offset", "\N{ARABIC-INDIC DIGIT ONE}".encode()),
    ]
    strange = dead.add_record(b"", headers=headers, at_ms=2**62)
    listed = letters("list", "--json")
    assert names(listed) == [strange]
    [row] = listed.objects
    assert (row["count"], row["source"], row["detail"], row["timestamp"]) == (0, None, "", 2**62)
    assert len(row["reason"]) == 100
    plain = letters("list")
    assert plain.status == 0
    assert "\x1b" not in plain.out
    assert str(2**62) in plain.out


def test_an_empty_topic_is_an_empty_list(letters: Command) -> None:
    listed = letters("list")
    assert (listed.status, listed.out, listed.err) == (0, "", "Looked at 0 records, all that there are.\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("list", "--since", "yesterday"), "'yesterday' is not a time"),
        (("list", "--until", "1960-01-01"), "'1960-01-01' is not a time since 1970"),
        (("list", "--since", "9" * 16), "is not a time"),
        (("list", "--reason", "nosuch"), "'nosuch' is not a reason: not-json, "),
        (("list", "--job", "a.b"), "the job ID has '.'"),
        (("list", "--limit", "-1"), "--limit"),
        (("list", "--scan-limit", "0"), "--scan-limit"),
        (("list", "--summary", "--limit", "1"), "--limit is not for --summary"),
        (("list", "--source", "no-such-topic"), "there is no topic 'no-such-topic'"),
        (("show", "17"), "'17' is not TOPIC:PARTITION:OFFSET"),
        (("show", "tracker-dead-letter:0:x"), "is not TOPIC:PARTITION:OFFSET"),
        (("show", "other:0:1"), "'other' is not the dead-letter topic, which is 'dead-"),
    ],
)
def test_bad_input_is_a_sentence(letters: Command, arguments: tuple[str, ...], text: str) -> None:
    refused = letters(*arguments)
    assert (refused.status, refused.out) == (2, "")
    assert text in refused.err


def test_a_source_that_is_gone_is_found_all_the_same(letters: Command, dead: DeadLetterTopic) -> None:
    name = dead.add(source=SOURCE._replace(topic="it-is-gone"))
    assert names(letters("list", "--source", "it-is-gone", "--json")) == [name]


@pytest.mark.parametrize(
    ("place", "text"),
    [("7:0", "There is no Kafka partition 7 of topic"), ("0:1", "No such record"), ("0:9", "No such record")],
)
def test_a_record_that_is_not_there_is_a_sentence(
    letters: Command, dead: DeadLetterTopic, place: str, text: str
) -> None:
    dead.add()
    missing = letters("show", f"{dead.name}:{place}")
    assert (missing.status, missing.out) == (1, "")
    assert text in missing.err


def test_a_topic_that_does_not_exist_is_a_sentence(letters: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_DEAD_LETTER_TOPIC", "no-such-topic")
    for arguments in (("list",), ("show", "no-such-topic:0:0")):
        refused = letters(*arguments)
        assert (refused.status, refused.out) == (2, "")
        assert "TRACKER_DEAD_LETTER_TOPIC is 'no-such-topic': there is no such topic" in refused.err


def test_brokers_that_do_not_answer_are_a_sentence(letters: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracker.kafka.inspection._CLUSTER_TIMEOUT_S", 1.0)
    monkeypatch.setenv("TRACKER_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    refused = letters("list")
    assert (refused.status, refused.out) == (1, "")
    assert "Kafka does not answer" in refused.err


def test_lines_are_json_for_every_reader(letters: Command, dead: DeadLetterTopic) -> None:
    dead.add_record(b"", headers=[("tracker-error-reason", "a\u2028b\nc".encode())])
    done = letters("list", "--json")
    assert done.out.count("\n") == len(done.out.splitlines()) == 1
    assert json.loads(done.out)["reason"] == "a\u2028b\nc"
