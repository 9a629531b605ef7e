"""No broker is asked while a database transaction is open: all that wait for its locks would wait for Kafka.

A fixture that all acceptance tests use (`conftest.py`) fails where it happens.
"""

import threading
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from msgspec.structs import replace

from tests.support.deployment_fixtures import Deploy
from tests.support.kafka import DEADLINE_S
from tracker import NewTask


class SlowBroker:
    """Does not answer questions about a topic for as long as it is to be slow."""

    def __init__(self, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.answers = threading.Event(), threading.Event()
        describe = AdminClient.describe_topics

        def describe_topics(admin: AdminClient, topics: Any, **options: Any) -> Any:
            names = list(topics.topic_names)
            if topic in names and len(names) == 1:
                self.asked.set()
                assert self.answers.wait(DEADLINE_S)
            return describe(admin, topics, **options)

        monkeypatch.setattr(AdminClient, "describe_topics", describe_topics)


def test_a_slow_broker_holds_up_no_start_of_a_worker(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each start of a worker, and each other scheduler, locks the row of the deployment."""
    tracker = deploy()
    broker = SlowBroker(tracker.topics.work, monkeypatch)
    tracker.start(workers=0)
    tracker.submit("job")
    assert broker.asked.wait(DEADLINE_S)
    try:
        assert tracker.rows("SELECT 1 FROM tracker.deployment FOR UPDATE NOWAIT") == [(1,)]
    finally:
        broker.answers.set()
    tracker.wait_until_sent()
    assert tracker.started() == ["acme:job"]


def test_a_slow_broker_holds_up_no_job_that_a_batch_has_locked(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch releases a dependent whose topic nobody has asked about yet."""
    tracker = deploy()
    tracker.submit("first")
    tracker.submit("second", "first")
    broker = SlowBroker(tracker.topics.work, monkeypatch)
    tracker.start(scheduler=False)
    tracker.send(tracker.message("acme:first.1*"))
    assert broker.asked.wait(DEADLINE_S)
    try:
        assert len(tracker.rows("SELECT 1 FROM tracker.job FOR UPDATE NOWAIT")) == 2
    finally:
        broker.answers.set()
    tracker.wait_until_processed()
    assert tracker.started() == ["acme:second"]
    assert tracker.status("first") == "Completed"


def test_a_batch_that_releases_jobs_for_many_topics_that_do_not_exist_ends(
    deploy: Deploy,
) -> None:
    """Brokers are asked about each. That the first answers grow old meanwhile is no reason to ask again."""
    tracker = deploy()
    tracker.submit("first")
    task = NewTask(task_classifier="DocumentWorker", task_api_version=1, task_data="{}", task_pipe="nowhere")
    tracker.client.submit(
        [
            tracker.job(f"second-{number}", "first", task=replace(task, task_pipe=f"nowhere-{number}"))
            for number in range(200)
        ]
    )
    tracker.start(scheduler=False)
    tracker.send(tracker.message("acme:first.1*"))
    tracker.wait_until_processed()
    assert tracker.status("first") == "Completed"
    assert tracker.started() == []
