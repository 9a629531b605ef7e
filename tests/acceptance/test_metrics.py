"""What the metrics say of batches and messages is true; `metrics/test_promises.py` has the others."""

from typing import Any

import pytest

from tests.acceptance.old_jobs import make_old
from tests.support.deployment import ACME, Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.kafka import wait_until
from tests.support.messages import progress_event, report
from tracker import metrics
from tracker.metrics import CATALOGUE, Metric, Recorder


def series(tracker: Deployment, metric: Metric) -> dict[tuple[str, ...], tuple[float, ...]]:
    """Return what all members have recorded of a metric, by its labels; each member has other labels."""
    found: dict[tuple[str, ...], tuple[float, ...]] = {}
    for member in tracker.workers + tracker.schedulers:
        found |= member.lifeline.recorder.snapshot().get(metric.name, {})
    return found


def test_each_message_is_counted_once_by_what_became_of_it(running: Deployment) -> None:
    for job_id in ("paused", "cancelled"):
        running.submit(job_id)
    running.client.pause("acme:paused")
    running.client.cancel("acme:cancelled")
    running.process(
        running.message("acme:job.1"),
        running.more_work("acme:job.2"),
        running.message(None),
        running.message("acme:job.3", to=None, track_to=None),
        running.event(report("acme:job.4", "Complete")),
        running.message("acme:cancelled.1"),
        running.message("acme:nobody.1"),
        running.more_work("acme:paused.1"),
        running.message("acme:job.0"),
        running.message("acme:job.1", to="nowhere"),
    )
    assert {key: numbers[0] for key, numbers in series(running, metrics.MESSAGES).items()} == {
        ("proxied", "forwarded"): 3,
        ("proxied", "consumed"): 1,
        ("proxied", "dropped"): 2,
        ("proxied", "held"): 1,
        ("event", "consumed"): 1,
        ("unreadable", "dead_letter"): 2,
    }


def test_reports_are_counted_by_their_kind(running: Deployment) -> None:
    running.process(
        running.message("acme:job.1"),
        running.message("acme:job.2", status="INVALID_TASK"),
        running.event(report("acme:job.3", "Complete"), report("acme:job.4", "Progress", 5)),
        running.event(report("acme:job.5", "Failed"), report("acme:job.6", "Retry")),
        running.progress("acme:job.7", 0),
        running.more_work("acme:job.8"),
    )
    assert {key: numbers[0] for key, numbers in series(running, metrics.REPORTS).items()} == {
        ("complete",): 2,
        ("failed",): 2,
        ("progress",): 1,
        ("retry",): 2,
    }


def test_batches_and_what_is_in_them(running: Deployment) -> None:
    records = [running.message(f"acme:job.{number}") for number in range(1, 101)]
    running.process(*records)
    batches = running.count(metrics.BATCHES)
    [of_records] = series(running, metrics.BATCH_RECORDS).values()
    [of_bytes] = series(running, metrics.BATCH_BYTES).values()
    assert sum(of_records[:-1]) == sum(of_bytes[:-1]) == batches >= 1
    assert of_records[-1] == len(records)
    assert of_bytes[-1] == sum(len(record.value or b"") for record in records)


def test_the_time_of_each_stage_is_observed_and_of_no_other(running: Deployment) -> None:
    running.process(running.message("acme:job.1"))
    [label] = metrics.STAGE_DURATION.labels
    found = series(running, metrics.STAGE_DURATION)
    assert {stage for (stage,) in found} == set(label.values)
    assert all(sum(numbers[:-1]) == running.count(metrics.BATCHES) for numbers in found.values())


def test_what_the_scheduler_sends_and_what_batches_release(tracker: Deployment) -> None:
    tracker.submit("first")
    tracker.submit("delayed", delay=1)
    tracker.submit("released", "first")
    tracker.submit("released-later", "first", delay=1)
    tracker.start()
    wait_until(lambda: tracker.count(metrics.SCHEDULED_SENDS) == 2, "two jobs sent")
    tracker.client.pause("acme:delayed")
    tracker.process(tracker.more_work("acme:delayed.1"), tracker.more_work("acme:delayed.2"))
    tracker.client.resume("acme:delayed")
    tracker.process(tracker.event(report("acme:first", "Complete")))
    wait_until(lambda: tracker.count(metrics.SCHEDULED_SENDS) == 5, "all sent")
    assert {key: numbers[0] for key, numbers in series(tracker, metrics.SCHEDULED_SENDS).items()} == {
        ("first",): 1,
        ("delayed",): 2,
        ("resumed",): 2,
    }
    assert tracker.count(metrics.RELEASES) == 1


def test_jobs_of_a_resumed_partition_id_are_first_sends(tracker: Deployment) -> None:
    tracker.client.suspend_partition(ACME)
    tracker.submit("first")
    tracker.start(workers=0)
    tracker.client.resume_partition(ACME)
    wait_until(lambda: tracker.count(metrics.SCHEDULED_SENDS) == 1, "sent")
    assert tracker.count(metrics.SCHEDULED_SENDS, kind="first") == 1


def test_the_delay_of_retention_is_how_late_jobs_are_removed(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    delays: list[float] = []
    original = Recorder.set

    def observed(recorder: Recorder, metric: Metric, value: float, **labels: str) -> None:
        if metric is metrics.RETENTION_DELAY:
            delays.append(value)
        original(recorder, metric, value, **labels)

    monkeypatch.setattr(Recorder, "set", observed)
    tracker = deploy(TRACKER_RETENTION_S="3600", TRACKER_RETENTION_FAILED_S="3600")
    tracker.submit("old")
    tracker.client.cancel("acme:old")
    make_old(tracker, "old")
    tracker.start(workers=0)
    wait_until(lambda: tracker.count(metrics.JOBS_REMOVED) == 1, "removed")
    wait_until(lambda: delays and delays[-1] == 0, "the end of the sweep")
    assert 3_590 < max(delays) < 7_200


def test_no_label_value_comes_from_a_message(running: Deployment) -> None:
    """Nobody who may send messages can make the number of time series grow."""
    running.process(
        running.message("acme:x.1", to="no-such-topic"),
        running.message("acme:x.1", status="NOBODY KNOWS"),
        running.progress("acme:x.1", 5)._replace(
            value=progress_event("acme:x.1", 5, to=running.topics.tracking, taskClassifier="no-such")
        ),
    )
    for member in running.workers:
        for name, found in member.lifeline.recorder.snapshot().items():
            assert_listed(CATALOGUE[name], found)


def assert_listed(metric: Metric, found: dict[Any, Any]) -> None:
    for values in found:
        for label, value in zip(metric.labels, values, strict=True):
            assert not label.values or value in label.values, f"{metric.name}: {value}"
