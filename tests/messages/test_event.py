"""What events report, and what they leave out."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.decoding import NOW_MS, decode, reasons
from tests.support.messages import OMIT, event, failure, progress_event, record_of, report, tracking_report
from tests.support.profile import THOROUGH
from tracker.identifiers import JobName, TaskName, parse_task_name
from tracker.messages.event import (
    Complete,
    Failed,
    Failure,
    Progress,
    Report,
    Retry,
    TaskNames,
    decode_event,
    task_name,
)
from tracker.messages.refusal import Reason, RecordRefused
from tracker.messages.task_message import decode_message

TASK = "acme:job.1"
NAME = parse_task_name(TASK)


def reports_of(value: bytes, max_failure_chars: int = 10_000) -> list[Report]:
    """Read an event; what it groups comes out one by one, group by group."""
    read = decode_event(decode_message(value), NOW_MS, max_failure_chars, TaskNames())
    grouped = [
        Complete(group.parent.child(index, text.endswith("*")))
        for group in read.completed
        for text, index in zip(group.texts, group.indexes, strict=True)
    ]
    assert not (grouped and read.reports)
    return [*read.reports, *grouped]


def only_report(*arguments: Any, **fields: Any) -> Report:
    [reported] = reports_of(tracking_report(report(TASK, *arguments, **fields)))
    return reported


def details_of(details: Any) -> Failure:
    reported = only_report("Failed", failure=details)
    assert isinstance(reported, Failed)
    return reported.failure


def test_reports_come_in_their_order() -> None:
    value = tracking_report(report(TASK, "Complete"), report("job.2*", "Retry"), report("a:b", "Progress", 1))
    assert reports_of(value) == [
        Complete(NAME),
        Retry(parse_task_name("job.2*")),
        Progress(parse_task_name("a:b"), 1_000_000),
    ]


def test_no_reports_are_none() -> None:
    assert reports_of(tracking_report()) == []


@pytest.mark.parametrize(
    ("percentage", "kept"),
    [
        (50, 50_000_000),
        (0.1, 100_000),
        (1e-9, 1),
        (33.3333335, 33_333_334),
        (99.9, 99_900_000),
        (99.95, 99_900_000),
        (100, 99_900_000),
        (100.0, 99_900_000),
    ],
)
def test_progress_is_kept_in_millionths_of_a_percent_up_to_99_9(percentage: float, kept: int) -> None:
    assert only_report("Progress", percentage) == Progress(NAME, kept)
    assert reports_of(progress_event(TASK, percentage)) == [Progress(NAME, kept)]


@pytest.mark.parametrize("percentage", [0, 0.0, -0.0])
def test_progress_of_0_is_no_progress(percentage: float) -> None:
    assert only_report("Progress", percentage) == Retry(NAME)
    assert reports_of(progress_event(TASK, percentage)) == [Retry(NAME)]


@given(st.floats(allow_nan=False) | st.integers())
@THOROUGH
def test_percentages_outside_0_to_100_are_refused_whatever_is_reported(percentage: float) -> None:
    for status in ("Progress", "Complete", "Failed", "Retry"):
        value = tracking_report(report(TASK, status, percentage))
        if percentage in (float("inf"), float("-inf")):
            value = value.replace(b"Infinity", b"1e400")
        expected = {} if 0 <= percentage <= 100 else {0: "percentage-out-of-range"}
        assert abs(percentage) > 1e300 or reasons(decode([record_of(value)])) == expected


@pytest.mark.parametrize("status", ["Complete", "Failed", "Retry"])
@pytest.mark.parametrize("percentage", [OMIT, None, 0, 50.5, 100])
def test_other_reports_need_no_percentage_and_may_have_one(status: str, percentage: Any) -> None:
    assert type(only_report(status, percentage)).__name__ == status


@pytest.mark.parametrize("details", [None, {}, failure(None, failure_id=None, source=None, failureTime=None)])
def test_a_failure_without_details_is_unspecified(details: Any) -> None:
    assert details_of(details) == Failure("unspecified", NOW_MS, "Unknown - no source info", "")


def test_a_failures_details_are_kept() -> None:
    details = failure("it broke", failure_id="E1", source="worker")
    assert details_of(details) == Failure("E1", 1_700_000_000_000, "worker", "it broke")


@pytest.mark.parametrize(
    ("time", "milliseconds"),
    [
        (0, 0),
        (-1, -1),
        (2**63 - 1, 2**63 - 1),
        ("1970-01-01T00:00:01Z", 1_000),
        ("1970-01-01T00:00:01.5+00:00", 1_500),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:01", 1_000),
        ("1970-01-02", 86_400_000),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140_000),
        ("9999-12-31T23:59:59.999-23:59", 253_402_387_139_999),
    ],
)
def test_a_failures_time_is_a_number_or_iso_8601(time: int | str, milliseconds: int) -> None:
    assert details_of(failure(failureTime=time)).failure_time_ms == milliseconds


@pytest.mark.parametrize("time", [2**63, -(2**63) - 1, "12:00", "1 January 1970", "", "\u0661970-01-01"])
def test_other_times_are_refused(time: int | str) -> None:
    with pytest.raises(RecordRefused, match="failureTime"):
        details_of(failure(failureTime=time))


@pytest.mark.parametrize("name", ["failureId", "failureSource", "failureMessage"])
def test_long_details_are_cut_and_say_so(name: str) -> None:
    value = tracking_report(report(TASK, "Failed", failure={name: "ü" * 101}))
    [reported] = reports_of(value, max_failure_chars=100)
    assert isinstance(reported, Failed)
    [cut] = [text for text in reported.failure if isinstance(text, str) and text.startswith("ü")]
    assert len(cut) == 100
    assert "101" in cut


def test_a_limit_shorter_than_the_note_is_kept() -> None:
    [reported] = reports_of(tracking_report(report(TASK, "Failed", failure=failure("x" * 50))), 10)
    assert isinstance(reported, Failed)
    assert len(reported.failure.failure_message) == 10


siblings = st.sampled_from(["a:j", "a:j.1", "a:j.1*", "j", "a:j" + ".1" * 99, "a:j" + ".1" * 100, ""])
last_indexes = st.sampled_from(["1", "2", "1*", "0", "", "1,2", "a", "\u0661", "2147483648", "1\0", "\u00b2"])
written = st.tuples(siblings, last_indexes).map(".".join) | siblings


@given(st.lists(written, min_size=1, max_size=8))
@THOROUGH
def test_names_read_beside_their_siblings_are_those_read_alone(names: list[str]) -> None:
    reader = TaskNames()
    for name in names:
        assert outcome(reader.parse, name) == outcome(task_name, name)


def outcome(read: Callable[[str], TaskName], name: str) -> TaskName | Reason:
    try:
        return read(name)
    except RecordRefused as refused:
        return refused.refusal.reason


def test_a_name_that_is_too_long_is_refused_beside_its_siblings() -> None:
    reader = TaskNames()
    parent = "acme:job" + ".2147483647" * 90
    reader.parse(f"{parent}.1")
    with pytest.raises(RecordRefused, match="characters"):
        reader.parse(f"{parent}.12")


@given(
    st.lists(
        st.builds(
            ".".join,
            st.tuples(
                st.sampled_from(["job", "acme:job", "acme:job.3", "acme:job.3*", "a:", "b" * 60, "x\0"]),
                st.sampled_from(["1", "2", "2*", "3", "0", "01", "", "*", "2147483648", "7,8", "x", "1\0"]),
            ),
        )
        | st.just("job"),
        min_size=1,
        max_size=6,
    ),
)
@THOROUGH
def test_children_that_have_completed_are_read_together_as_one_by_one(names: list[str]) -> None:
    together = tracking_report(*(report(name, "Complete") for name in names))
    one_by_one = [tracking_report(report(name, "Complete"), report("job", "Retry")) for name in names]

    def read(value: bytes) -> list[Report] | Reason:
        try:
            return reports_of(value)
        except RecordRefused as refused:
            return refused.refusal.reason

    found, expected = read(together), [read(each) for each in one_by_one]
    refused = [each for each in expected if isinstance(each, Reason)]
    if refused:
        assert found == refused[0]
    else:
        assert isinstance(found, list)
        assert sorted(found) == sorted(each[0] for each in expected if not isinstance(each, Reason))
    if len({name.rpartition(".")[0] for name in names}) == 1:
        assert found == (refused[0] if refused else [each[0] for each in expected if isinstance(each, list)])


def test_one_bad_report_spoils_its_event_and_no_other() -> None:
    good = [report("acme:job.1", "Complete"), report("acme:job.2", "Failed"), report("acme:job.3", "Retry")]
    bad = tracking_report(*good, report("acme:job.0", "Complete"))
    batch = decode([record_of(tracking_report(*good)), record_of(bad), record_of(tracking_report(*good))])
    assert reasons(batch) == {1: "bad-job-task-id"}
    assert (batch.events, batch.retries) == (2, 2)
    assert [position for position, _ in batch.jobs[JobName("acme", "job")].event_reports] == [0, 0, 2, 2]


@pytest.mark.parametrize("text", ["", "QUI=", "QQ==", "QUJD", "+/+/"])
def test_base64_with_its_padding_is_read(text: str) -> None:
    batch = decode([record_of(event("JobTrackingWorker", {}, taskData=text))])
    assert reasons(batch) == {0: "not-json"}


@given(st.text(st.sampled_from("Aa0+/=\n -_é"), max_size=12))
@THOROUGH
@example("0000=")
def test_base64_is_read_strictly(text: str) -> None:
    padding = len(text) - len(text.rstrip("="))
    digits = text.rstrip("=")
    strict = len(text) % 4 == 0 and padding <= 2 and set(digits) <= set("Aa0+/")
    found = reasons(decode([record_of(event("JobTrackingWorker", {}, taskData=text))]))
    assert found == {0: "not-json" if strict else "wrong-type"}
