"""How Kafka's offsets and the database come apart, and what `tracker run` and `tracker adopt` say then."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import closing
from typing import Any

import psycopg
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from typer.testing import CliRunner

from tests.support.deployment import Deployment
from tests.support.kafka import DEADLINE_S
from tests.support.program import Program
from tests.support.records import Record
from tracker.cli.commands import app

COMMANDS = "'tracker adopt database --dry-run' and 'tracker adopt kafka --dry-run'"


def numbered(tracker: Deployment, numbers: Iterable[int], job: str = "job") -> list[Record]:
    """Make messages that complete tasks, with the task's number in a header, which is sent on."""
    return [tracker.message(f"acme:{job}.{number}", headers=(("n", b"%d" % number),)) for number in numbers]


def forwarded(tracker: Deployment) -> list[int]:
    """Return the numbers of the messages that were sent on, in their order."""
    return [int(each.header("n") or 0) for each in tracker.results()]


def process(tracker: Deployment, numbers: Iterable[int], **running: Any) -> None:
    """Run for as long as it takes to process such messages, and stop."""
    tracker.send(*numbered(tracker, numbers))
    with tracker.running(**{"scheduler": False, **running}):
        tracker.wait_until_processed()


def refusal(tracker: Deployment) -> str:
    """Start `tracker run`, which must end by itself, and return why: a sentence of a worker or the scheduler.

    Both, where both have a reason, and there was time for both.
    """
    with Program({**tracker.variables, "TRACKER_WORKERS": "1"}) as program:
        assert program.wait() == 1, program.text()
    reasons = sorted({line["reason"] for line in program.lines if "refuses to continue" in line["event"]})
    assert reasons, program.text()
    assert "unexpected error" not in program.text()
    assert not [line for line in program.lines if line["event"] == "child ended"], "it was started again"
    assert all(COMMANDS in reason for reason in reasons)
    return "\n".join(reasons)


def adopt(tracker: Deployment, *arguments: str) -> str:
    """Run `tracker adopt`; it must change something, and then find no more to do. Return what it said."""
    said = run_adopt(tracker, *arguments, "--dry-run")
    again = run_adopt(tracker, *arguments, "--dry-run")
    assert again == said
    assert "would be changed" in said
    assert run_adopt(tracker, *arguments) == said.replace("would be changed", "changed")
    assert run_adopt(tracker, *arguments) == "Kafka and the database agree.\n"
    return said


def run_adopt(tracker: Deployment, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["adopt", *arguments], env=tracker.variables, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def set_offset(tracker: Deployment, offset: int, *, sent_number: bool = False) -> None:
    """Set an offset as `kafka-consumer-groups --reset-offsets` does."""
    place = TopicPartition(tracker.topics.tracking, 0, offset)
    group = ConsumerGroupTopicPartitions(group_of(tracker, sent_number), [place])
    [answer] = tracker.kafka.admin.alter_consumer_group_offsets([group]).values()
    assert answer.result(DEADLINE_S).topic_partitions[0].error is None


def delete_group(tracker: Deployment, *, sent_number: bool = False) -> None:
    """Delete the group with its offsets, as their expiry does."""
    name = group_of(tracker, sent_number)
    answers: dict[str, Future[None]] = tracker.kafka.admin.delete_consumer_groups([name])
    answers[name].result(DEADLINE_S)


def group_of(tracker: Deployment, sent_number: bool) -> str:
    return f"{tracker.group_id}-scheduler" if sent_number else tracker.group_id


def recreate_topic(tracker: Deployment) -> None:
    topic = tracker.topics.tracking
    tracker.kafka.admin.delete_topics([topic])[topic].result(DEADLINE_S)
    while True:
        try:
            tracker.kafka.create({topic: 1})
            return
        except KafkaException as error:
            if error.args[0].name() != "TOPIC_ALREADY_EXISTS":  # it is still being deleted
                raise


class Backup:
    """A copy of a deployment's database, and the way back to it."""

    def __init__(self, tracker: Deployment) -> None:
        self._tracker = tracker
        self._name = str(conninfo_to_dict(tracker.database_url)["dbname"])
        self._copy = f"{self._name}_copy"
        self._aside(lambda server: self._make(server, self._copy, self._name))

    def restore(self) -> None:
        """Put the copy in the database's place, also under programs that run."""

        def swap(server: psycopg.Connection[Any]) -> None:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(self._name)))
            server.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                    sql.Identifier(self._copy), sql.Identifier(self._name)
                )
            )

        self._aside(swap)

    @staticmethod
    def _make(server: psycopg.Connection[Any], name: str, template: str) -> None:
        server.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )

    def _aside(self, work: Callable[[psycopg.Connection[Any]], None]) -> None:
        """Do something to the database from another one, with the test's own connections closed meanwhile."""
        tracker = self._tracker
        tracker.client.close()
        tracker.database.close()
        server = conninfo_to_dict(tracker.database_url) | {"dbname": "postgres"}
        with closing(psycopg.connect(**server, autocommit=True)) as connection:  # type: ignore[arg-type]
            work(connection)
        tracker.use_database(tracker.database_url)
