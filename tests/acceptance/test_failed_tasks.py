"""`tracker job retry --failed-tasks` sends the dead letters of one job again, and no others."""

import json

import pytest

from tests.support.deployment import Deployment
from tests.support.messages import report
from tests.support.typed import Typed, type_command


def retry(tracker: Deployment, *arguments: str) -> Typed:
    return type_command(tracker, "job", "retry", "--failed-tasks", *arguments)


@pytest.fixture
def later(tracker: Deployment) -> str:
    """A topic that does not exist; the last tasks of the jobs `a`, `b` and `c` are dead letters for it."""
    later = f"{tracker.topics.work}-later"
    tracker.client.submit([tracker.job(job_id) for job_id in "abc"])
    tracker.start(scheduler=False)
    tracker.process(*(tracker.message(f"acme:{job_id}.1*", to=later, track_to=later) for job_id in "abc"))
    assert len(tracker.dead_letters()) == 3
    return later


def test_the_dead_letters_of_the_jobs_alone_are_sent_again(tracker: Deployment, later: str) -> None:
    tracker.kafka.create({later: 1})
    tracker.stop()
    tracker.start(scheduler=False)  # it has no earlier answer about the topic
    done = retry(tracker, "acme:a", "acme:c")
    assert (done.status, done.out) == (0, "Replayed 2 of 2 dead letters.\n")
    tracker.wait_until_processed()
    assert tracker.statuses("a", "b", "c") == ["Completed", "Waiting", "Completed"]
    assert sorted(record.key or b"" for record in tracker.kafka.read(later)) == [b"acme:a", b"acme:c"]
    again = retry(tracker, "acme:b", "--json")
    assert (again.status, json.loads(again.out)) == (0, {"matched": 1, "changed": 1, "skipped": 0})


def test_what_was_sent_again_or_refused_too_often_is_left(tracker: Deployment, later: str) -> None:
    assert retry(tracker, "acme:a").out == "Replayed 1 of 1 dead letter.\n"
    tracker.wait_until_processed()
    assert len(tracker.dead_letters()) == 4
    left = retry(tracker, "acme:a", "--max-count", "1")
    assert (left.status, left.out) == (0, "Replayed 0 of 1 dead letter.\n")
    assert "it was refused more than 1 times" in left.err
    assert retry(tracker, "acme:a").out == "Replayed 1 of 1 dead letter.\n"


def test_of_a_job_that_has_ended_it_is_refused_with_the_way_out(tracker: Deployment, later: str) -> None:
    tracker.process(
        tracker.event(report("acme:a", "Failed")),
        tracker.event(report("acme:b", "Complete")),
    )
    failed = retry(tracker, "acme:c", "acme:a")
    assert (failed.status, failed.out) == (1, "")
    assert failed.err == (
        "The dead letters of a job that has ended are not sent again: acme:a is Failed;"
        " `tracker job retry acme:a` starts a failed one again.\n"
    )
    completed = retry(tracker, "acme:b")
    assert "acme:b is Completed; `tracker dead-letters drop --all-matching --job acme:b`" in completed.err
    unknown = retry(tracker, "acme:nobody")
    assert (unknown.status, unknown.err) == (1, "No such job: acme:nobody.\n")
    assert len(tracker.kafka.read(tracker.topics.tracking)) == 5
