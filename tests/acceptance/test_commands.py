"""Cancel, pause, resume and delete, while messages come in."""

import pytest

from tests.support.deployment import Deployment
from tests.support.messages import report
from tests.support.records import Record
from tracker import JobRefused
from tracker.metrics import DROPS, SCHEDULED_SENDS

TRACEPARENT = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


@pytest.fixture
def sent(tracker: Deployment) -> Deployment:
    """A deployment with all running, and a job that has been sent."""
    tracker.submit("job")
    tracker.start()
    tracker.wait_until_sent()
    return tracker


def more(tracker: Deployment, first: int, end: int) -> list[Record]:
    """Make messages that would make more work, with the task's number in their headers."""
    numbers = range(first, end)
    return [
        tracker.more_work(f"acme:job.{number}", headers=(TRACEPARENT, ("n", b"%d" % number)))
        for number in numbers
    ]


def numbers(tracker: Deployment) -> list[int]:
    """Return which of these messages came to the workers, in order."""
    found = [each.header("n") for each in tracker.work()]
    return [int(number) for number in found if number is not None]


# --- cancel


def test_nothing_of_a_cancelled_job_is_forwarded_by_a_later_batch(sent: Deployment) -> None:
    sent.process(*more(sent, 1, 11))
    sent.client.cancel("acme:job")
    sent.process(*more(sent, 11, 21), sent.message("acme:job.21"))
    assert numbers(sent) == list(range(1, 11))
    assert sent.results() == []
    assert sent.count(DROPS, reason="cancelled") == 11


def test_nothing_is_forwarded_after_a_cancel_under_load(sent: Deployment) -> None:
    """Only what was applied when the cancel returned is forwarded; the cancel had waited for it."""
    sent.send(*more(sent, 1, 20_001))
    sent.client.cancel("acme:job")
    [(applied,)] = sent.rows("SELECT coalesce(sum(next_offset), 0) FROM kafka_progress")
    sent.wait_until_processed()
    forwarded = numbers(sent)
    assert forwarded == list(range(1, len(forwarded) + 1))
    assert len(forwarded) <= applied
    assert sent.count(DROPS, reason="cancelled") == 20_000 - len(forwarded)


@pytest.mark.parametrize("status", ["Waiting", "Active", "Paused"])
def test_a_job_that_has_not_ended_can_be_cancelled_and_again(sent: Deployment, status: str) -> None:
    if status == "Active":
        sent.process(sent.progress("acme:job", 5))
    if status == "Paused":
        sent.client.pause("acme:job")
    assert sent.status("job") == status
    assert [each.changed for each in sent.client.cancel("acme:job")] == [True]
    assert [each.changed for each in sent.client.cancel("acme:job")] == [False]
    assert sent.status("job") == "Cancelled"


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume"])
@pytest.mark.parametrize("end", ["Failed", "Complete"])
def test_a_finished_job_refuses(running: Deployment, verb: str, end: str) -> None:
    running.process(running.event(report("acme:job", end)))
    before = running.status("job")
    with pytest.raises(JobRefused):
        getattr(running.client, verb)("acme:job")
    assert running.status("job") == before


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_cancelled_job_is_neither_paused_nor_resumed(running: Deployment, verb: str) -> None:
    running.client.cancel("acme:job")
    with pytest.raises(JobRefused):
        getattr(running.client, verb)("acme:job")


def test_the_dependents_of_a_cancelled_job_stay_waiting(sent: Deployment) -> None:
    sent.submit("dependent", "job")
    sent.client.cancel("acme:job")
    sent.process(sent.event(report("acme:job", "Complete")))
    sent.wait_until_sent()
    assert (sent.status("dependent"), sent.started()) == ("Waiting", ["acme:job"])


def test_a_job_that_is_cancelled_before_it_is_sent_is_not_sent(tracker: Deployment) -> None:
    tracker.submit("job")
    tracker.client.cancel("acme:job")
    tracker.start(workers=0)
    tracker.wait_until_sent()
    assert tracker.started() == []


# --- pause and resume


def test_more_work_is_held_in_order_and_sent_once_in_order_on_resume(sent: Deployment) -> None:
    sent.process(*more(sent, 1, 6))
    sent.client.pause("acme:job")
    sent.process(*more(sent, 6, 11))
    sent.process(*more(sent, 11, 16))
    assert numbers(sent) == [1, 2, 3, 4, 5]
    sent.client.resume("acme:job")
    sent.wait_until_sent()
    assert numbers(sent) == list(range(1, 16))
    sent.process(*more(sent, 16, 18))
    assert numbers(sent) == list(range(1, 18))
    assert sent.count(SCHEDULED_SENDS, kind="resumed") == 10
    assert sent.rows("SELECT count(*) FROM held_message") == [(0,)]


def test_a_held_message_keeps_its_key_headers_and_bytes(sent: Deployment) -> None:
    sent.client.pause("acme:job")
    headers = (TRACEPARENT, ("x-empty", b""), ("x-null", None), ("x-raw", b"\xff\0"), ("x-raw", b"2"))
    held = [
        sent.more_work("acme:job.1", headers=headers, unknown=1.50),
        sent.more_work("acme:job.2")._replace(key=None),
        sent.more_work("acme:job.3")._replace(key=b""),
    ]
    sent.send(*held, kafka_partition=0)
    sent.wait_until_processed()
    sent.client.resume("acme:job")
    sent.wait_until_sent()
    received = sent.work()[1:]
    assert [(each.key, each.value, each.headers) for each in received] == [
        (each.key, each.value, each.headers) for each in held
    ]


def test_a_held_message_is_sent_without_the_count_of_refusals(sent: Deployment) -> None:
    sent.client.pause("acme:job")
    sent.process(sent.more_work("acme:job.1", headers=(("tracker-error-count", b"1"), TRACEPARENT)))
    sent.client.resume("acme:job")
    sent.wait_until_sent()
    assert [each.headers for each in sent.work()[1:]] == [(TRACEPARENT,)]


def test_what_ends_tracking_is_reported_and_forwarded_while_its_job_is_paused(sent: Deployment) -> None:
    sent.client.pause("acme:job")
    sent.process(sent.message("acme:job.1"), sent.message("acme:job.2", to=None, track_to=None))
    assert len(sent.results()) == 1
    assert (sent.status("job"), sent.percentage("job")) == ("Paused", 66.67)


def test_a_failure_of_a_paused_job_is_reported(sent: Deployment) -> None:
    sent.client.pause("acme:job")
    sent.process(*more(sent, 1, 3), sent.more_work("acme:job.3", status="INVALID_TASK"))
    assert sent.status("job") == "Failed"
    assert (numbers(sent), sent.rows("SELECT count(*) FROM held_message")) == ([], [(0,)])


def test_a_job_that_completes_while_paused_drops_what_was_held(sent: Deployment) -> None:
    sent.client.pause("acme:job")
    sent.process(*more(sent, 1, 3))
    sent.process(sent.event(report("acme:job", "Complete")))
    assert (sent.status("job"), sent.rows("SELECT count(*) FROM held_message")) == ("Completed", [(0,)])


def test_tens_of_thousands_may_be_held(sent: Deployment) -> None:
    sent.client.pause("acme:job")
    sent.process(*more(sent, 1, 30_001))
    assert sent.rows("SELECT count(*) FROM held_message") == [(30_000,)]
    sent.client.resume("acme:job")
    sent.wait_until_sent()
    assert numbers(sent) == list(range(1, 30_001))


def test_a_job_that_is_paused_again_while_it_is_sent_out_loses_and_repeats_nothing(sent: Deployment) -> None:
    sent.client.pause("acme:job")
    sent.process(*more(sent, 1, 15_001))
    for first in range(15_001, 15_101, 20):
        sent.client.resume("acme:job")
        sent.client.pause("acme:job")
        sent.process(*more(sent, first, first + 20))
    sent.client.resume("acme:job")
    sent.wait_until_sent()
    assert numbers(sent) == list(range(1, 15_101))


@pytest.mark.parametrize("end", ["cancel", "delete"])
def test_what_is_held_is_dropped_with_its_job_and_counted(sent: Deployment, end: str) -> None:
    sent.client.pause("acme:job")
    sent.process(*more(sent, 1, 6))
    [changed] = getattr(sent.client, end)("acme:job")
    assert changed.dropped_messages == 5
    sent.wait_until_sent()
    assert (numbers(sent), sent.rows("SELECT count(*) FROM held_message")) == ([], [(0,)])


def test_pausing_the_paused_and_resuming_the_others_does_nothing(tracker: Deployment) -> None:
    tracker.client.submit([tracker.job(job_id) for job_id in ("waiting", "active", "paused")])
    tracker.start(scheduler=False)
    tracker.process(tracker.progress("acme:active", 5))
    tracker.client.pause("acme:paused")
    assert [each.changed for each in tracker.client.pause("acme:paused")] == [False]
    assert [each.changed for each in tracker.client.resume(["acme:waiting", "acme:active"])] == [False] * 2
    assert tracker.statuses("waiting", "active", "paused") == ["Waiting", "Active", "Paused"]


def test_resuming_makes_a_job_active(running: Deployment) -> None:
    running.client.pause("acme:job")
    running.client.resume("acme:job")
    assert running.status("job") == "Active"


def test_a_job_that_is_paused_before_it_is_sent_is_sent_once_it_is_resumed(tracker: Deployment) -> None:
    tracker.submit("job")
    tracker.client.pause("acme:job")
    tracker.start(workers=0)
    tracker.wait_until_sent()
    assert tracker.started() == []
    tracker.client.resume("acme:job")
    tracker.wait_until_sent()
    assert tracker.started() == ["acme:job"]


# --- delete


def test_a_deleted_job_is_gone_with_all_that_belongs_to_it(sent: Deployment) -> None:
    sent.submit("other")
    sent.submit("dependent", "job", labels={"owner": "bob"})
    sent.process(
        sent.event(
            report("acme:job.1", "Failed"),
            report("acme:job.2.1", "Progress", 5),
            report("acme:job.3", "Complete"),
            report("acme:dependent.1", "Progress", 5),
        )
    )
    sent.client.delete(["acme:job", "acme:dependent"])
    sent.process(sent.message("acme:job.4"), sent.event(report("acme:job.5", "Complete")))
    assert sent.client.count() == 1
    for table in ("sibling_tasks", "task_block", "task_failure", "label", "prerequisite", "held_message"):
        assert sent.rows(f"SELECT count(*) FROM {table}") == [(0,)], table
    assert sent.results() == []
    assert sent.count(DROPS, reason="unknown_job") == 1


def test_a_job_may_be_created_again_after_it_was_deleted(sent: Deployment) -> None:
    sent.process(sent.event(report("acme:job", "Complete")))
    sent.client.delete("acme:job")
    sent.submit("job")
    sent.wait_until_sent()
    assert (sent.status("job"), sent.started()) == ("Waiting", ["acme:job", "acme:job"])
