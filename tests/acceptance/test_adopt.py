"""Offsets and database that have come apart: workers refuse, and `tracker adopt` puts it right."""

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition
from typer.testing import CliRunner

from tests.acceptance.conftest import Deploy
from tests.acceptance.deployment import Deployment
from tests.acceptance.kafka import DEADLINE_S
from tracker.cli import app
from tracker.lifeline import ExitStatus


def processed(deploy: Deploy, tasks: int = 10) -> Deployment:
    """Have a deployment with one Kafka partition process so many tasks of a job, and stop."""
    tracker = deploy(partitions=1)
    tracker.submit("job")
    with tracker.running(scheduler=False):
        for number in range(1, tasks + 1):
            tracker.process(tracker.message(f"acme:job.{number}"))
    return tracker


def move_offset(tracker: Deployment, offset: int, metadata: str | None = None) -> None:
    """Commit another offset for the group."""
    if metadata is None:
        [(metadata,)] = tracker.rows("SELECT database_id::text FROM deployment")
    consumer = Consumer({"bootstrap.servers": tracker.kafka.bootstrap_servers, "group.id": tracker.group_id})
    consumer.commit(
        offsets=[TopicPartition(tracker.topics.tracking, 0, offset, metadata)], asynchronous=False
    )
    consumer.close()


def adopt(tracker: Deployment, *arguments: str) -> str:
    """Run the command and return what it prints."""
    result = CliRunner().invoke(app, ["adopt", *arguments], env=tracker.variables, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def refuses(tracker: Deployment) -> bool:
    """Say whether a worker that is given a record refuses to go on."""
    tracker.send(tracker.message("acme:job.100"))
    member = tracker.start_worker(wait=False)
    tracker.workers.remove(member)
    return member.wait() == ExitStatus.REFUSED


@pytest.mark.parametrize("offset", [0, 1_000])
def test_a_moved_offset_is_refused_and_the_database_can_put_it_right(deploy: Deploy, offset: int) -> None:
    tracker = processed(deploy)
    before = len(tracker.results())
    if offset > 10:
        for number in range(11, 1_100):
            tracker.kafka.produce(tracker.message(f"acme:job.{number}"), tracker.topics.tracking)
        tracker.kafka.flush()
    move_offset(tracker, offset)
    assert refuses(tracker)
    assert "offset" in adopt(tracker, "database", "--dry-run")
    assert "1 offset changed" in adopt(tracker, "database")
    assert adopt(tracker, "database") == "Kafka and the database agree.\n"
    sent = tracker.kafka.ends(tracker.topics.tracking)[tracker.topics.tracking, 0]
    tracker.start(scheduler=False)
    tracker.wait_until_processed()
    assert before == 10
    # A record or so may be behind what is known to be published; nothing is lost, and nothing is far behind.
    assert sent <= len(tracker.results()) <= sent + 1


def test_a_dry_run_changes_nothing(deploy: Deploy) -> None:
    tracker = processed(deploy)
    move_offset(tracker, 0)
    first = adopt(tracker, "kafka", "--dry-run")
    assert first == adopt(tracker, "kafka", "--dry-run")
    assert "1 offset would be changed" in first


def test_the_database_can_follow_an_offset_that_was_moved_back(deploy: Deploy) -> None:
    tracker = processed(deploy)
    move_offset(tracker, 4)
    adopt(tracker, "kafka")
    tracker.start(scheduler=False)
    tracker.wait_until_processed()
    assert len(tracker.results()) == 16
    assert tracker.percentage("job") == pytest.approx(100 * 10 / 11, abs=0.01)


def test_offsets_of_another_database_are_refused_and_can_be_adopted(deploy: Deploy) -> None:
    tracker = processed(deploy)
    move_offset(tracker, 10, metadata="another")
    assert refuses(tracker)
    assert "another database" in adopt(tracker, "kafka")
    tracker.start(scheduler=False)
    tracker.wait_until_processed()
    assert len(tracker.results()) == 11


def test_a_topic_made_anew_is_refused_and_can_be_adopted(deploy: Deploy) -> None:
    tracker = processed(deploy)
    topic = tracker.topics.tracking
    tracker.kafka.admin.delete_topics([topic])[topic].result(timeout=DEADLINE_S)
    tracker.kafka.create({topic: 1})
    assert refuses(tracker)
    assert "made anew" in adopt(tracker, "database")
    tracker.start(scheduler=False)
    tracker.wait_until_processed()
    assert len(tracker.results()) == 11


def test_a_database_from_an_earlier_copy_is_refused(deploy: Deploy) -> None:
    tracker = processed(deploy)
    with psycopg.connect(tracker.database_url) as connection:
        connection.execute("UPDATE tracker.kafka_progress SET next_offset = 5, published_offset = 5")
    assert refuses(tracker)
    adopt(tracker, "kafka")


def test_nothing_is_adopted_while_the_group_has_members(deploy: Deploy) -> None:
    tracker = processed(deploy)
    tracker.start(scheduler=False)
    tracker.database.execute("UPDATE deployment SET database_id = gen_random_uuid()")
    result = CliRunner().invoke(app, ["adopt", "database"], env=tracker.variables)
    assert result.exit_code == 1
    assert "stop every 'tracker run'" in str(result.exception)
    tracker.stop()
    adopt(tracker, "database")
