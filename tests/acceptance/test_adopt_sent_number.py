"""The scheduler's last sent number gone or moved: nothing is sent twice or left out in silence."""

from functools import partial

import pytest

from tests.acceptance.dying_scheduler import DELETES_WHAT_IS_PUBLISHED, PUBLISHES, schedule_until
from tests.support.deployment import Deployment
from tests.support.disagreement import adopt, delete_group, refusal, set_offset
from tests.support.kafka import wait_until

JOBS = [f"job-{number}" for number in range(10)]


def in_doubt(tracker: Deployment, *, sent: bool) -> None:
    """Have a scheduler give numbers to jobs and die, before or after it has sent them."""
    tracker.submit("before")
    with tracker.running(workers=0):
        tracker.wait_until_sent()
    tracker.client.submit([tracker.job(name) for name in JOBS])
    schedule_until(tracker, DELETES_WHAT_IS_PUBLISHED if sent else PUBLISHES)


def send_all(tracker: Deployment) -> None:
    with tracker.running(workers=0):
        tracker.wait_until_sent()


def names(times: int) -> list[str]:
    return ["acme:before", *(times * [f"acme:{name}" for name in JOBS])]


@pytest.mark.parametrize(
    ("how", "leader", "sent"),
    [("gone", "database", True), ("back", "kafka", True), ("ahead", "database", False)],
)
def test_one_that_does_not_say_what_was_sent_is_refused(
    tracker: Deployment, how: str, leader: str, sent: bool
) -> None:
    """What may have been sent is sent again, then; how much that is, is said."""
    in_doubt(tracker, sent=sent)
    if how == "gone":
        delete_group(tracker, sent_number=True)
    else:
        set_offset(tracker, {"back": 0, "ahead": 5}[how], sent_number=True)
    why = {"gone": "numbers 2 to 11 may or may not have been", "back": "behind", "ahead": "by hand"}
    assert why[how] in refusal(tracker)
    assert "it becomes 1, and of what may have been sent 10 messages are sent again" in (
        adopt(tracker, leader)
    )
    send_all(tracker)
    assert tracker.started() == names(2 if sent else 1)


def test_a_missing_sent_number_is_restored_when_nothing_is_in_doubt(tracker: Deployment) -> None:
    tracker.client.submit([tracker.job("before"), *(tracker.job(name) for name in JOBS)])
    send_all(tracker)
    delete_group(tracker, sent_number=True)
    tracker.submit("later")
    send_all(tracker)
    assert tracker.started() == [*names(1), "acme:later"]


def test_a_missing_sent_number_is_refused_if_nothing_was_recorded_before(tracker: Deployment) -> None:
    """The first messages of all are sent; nothing but the last sent number says so."""
    tracker.client.submit([tracker.job(name) for name in JOBS])
    schedule_until(tracker, DELETES_WHAT_IS_PUBLISHED)
    delete_group(tracker, sent_number=True)
    assert "numbers 1 to 10 may or may not have been" in refusal(tracker)


def test_one_that_is_deleted_or_moved_while_the_scheduler_runs_does_no_harm(tracker: Deployment) -> None:
    tracker.start(workers=0)
    for number, harm in enumerate(
        [
            partial(delete_group, tracker, sent_number=True),
            partial(set_offset, tracker, 0, sent_number=True),
            partial(set_offset, tracker, 1_000, sent_number=True),
        ]
    ):
        tracker.submit(f"before-{number}")
        tracker.wait_until_sent()
        harm()
        tracker.submit(f"after-{number}")
        tracker.wait_until_sent()
    wait_until(lambda: len(tracker.started()) == 6, "six of them")
    tracker.stop()
    tracker.submit("last")
    send_all(tracker)
    assert len(tracker.started()) == len({*tracker.started()}) == 7


def test_it_follows_a_change_of_the_topics(tracker: Deployment) -> None:
    """It is on the first topic: the last number counts, whichever that was."""
    in_doubt(tracker, sent=True)
    second = f"{tracker.topics.tracking}-second"
    tracker.kafka.create({second: 1})
    first = tracker.variables["TRACKER_TOPICS"]
    for topics in (f"{second},{first}", first, second, first):
        tracker.variables["TRACKER_TOPICS"] = topics
        send_all(tracker)
        tracker.submit(f"job-{len(tracker.started())}-x")
        send_all(tracker)
    assert len(tracker.started()) == len({*tracker.started()}) == 15


def test_the_way_of_delivery_may_be_changed(tracker: Deployment) -> None:
    for delivery in ("exactly_once", "at_least_once", "exactly_once", "at_least_once", "exactly_once"):
        tracker.variables["TRACKER_DELIVERY"] = delivery
        tracker.submit(f"job-{len(tracker.started())}")
        send_all(tracker)
    assert len(tracker.started()) == len({*tracker.started()}) == 5
