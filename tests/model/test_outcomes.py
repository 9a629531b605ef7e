"""What the model says of a record beyond the rules that it shares with the fold (`tests/fold`)."""

from tests.model.examples import JOB, progress, send_event, send_message
from tests.support.messages import record_of
from tests.support.model.naive import NaiveTracker
from tests.support.model.outcomes import Outcome


def test_an_untracked_message_has_no_report(tracker: NaiveTracker) -> None:
    assert send_message(tracker, None, to="worker-in").ignored == ["untracked"]
    assert send_message(tracker, None, to="worker-in", tracking=None).ignored == ["untracked"]


def test_a_retry_is_a_report_that_writes_nothing(tracker: NaiveTracker) -> None:
    outcome = send_message(tracker, status="RESULT_MAYBE", headers={"x-caf-worker-retry": b"3"})
    assert outcome.ignored == ["retry"]


def test_an_event_without_reports_has_no_outcome(tracker: NaiveTracker) -> None:
    assert send_event(tracker) == Outcome()


def test_a_forward_keeps_key_headers_and_bytes(tracker: NaiveTracker) -> None:
    value = b'{ "unknown" : 1.50, "taskId":"x","to":"worker-in","tracking":{"jobTaskId":"acme:job.1"} }'
    headers = (("traceparent", b"00-1-2-01"), ("a", None), ("a", b"\xff"))
    (forward,) = tracker.process(record_of(value, key=b"\xff", headers=headers)).forwarded
    assert forward == ("worker-in", b"\xff", value, headers)


def test_a_jobs_percentage_is_shown_with_two_decimals_rounded_half_up(tracker: NaiveTracker) -> None:
    progress(tracker, "acme:job", 12.345)
    assert tracker.percentage(*JOB) == 12.35
    progress(tracker, "acme:job", 12.354999)
    assert tracker.percentage(*JOB) == 12.35
