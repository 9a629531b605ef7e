"""A right that is revoked from the database's role, and granted again: what needs it waits, and continues."""

from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.support.deployment_fixtures import Deploy
from tests.support.kafka import wait_until
from tracker.metrics import DATABASE_RETRIES
from tracker.store import grants
from tracker.store.grants import RUN


def test_workers_and_scheduler_wait_for_a_right_that_was_taken_away(
    role: str, database_url: str, deploy: Deploy
) -> None:
    tracker = deploy(TRACKER_DATABASE_URL=make_conninfo(database_url, user=role, password="secret"))
    tracker.submit("before")
    tracker.start()
    tracker.wait_until_sent()
    tracker.process(tracker.message("acme:before.1"))
    tracker.database.execute(
        sql.SQL("REVOKE INSERT ON tracker.outbox FROM {0}; REVOKE UPDATE ON tracker.job FROM {0}").format(
            sql.Identifier(role)
        )
    )
    [worker], [scheduler] = tracker.workers, tracker.schedulers
    tracker.send(tracker.message("acme:before.2*"))
    tracker.submit("after")
    wait_until(lambda: worker.count(DATABASE_RETRIES) > 0, "the worker to be refused")
    wait_until(lambda: scheduler.count(DATABASE_RETRIES) > 0, "the scheduler to be refused")
    grants.grant(database_url, [(role, RUN)])
    tracker.wait_until_processed()
    tracker.wait_until_sent()
    assert tracker.client.get("acme:before").status == "Completed"
    assert sorted(tracker.started()) == ["acme:after", "acme:before"]
