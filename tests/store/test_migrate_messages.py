"""The migration after which task messages are kept: what is on its way is not queued again."""

from contextlib import closing

from tracker.store import migrate
from tracker.store.connect import connect
from tracker.store.schedule_store import ScheduleStore

BEFORE = 8  # migrations

FILL = """
    INSERT INTO tenant (partition_id) VALUES ('acme');
    INSERT INTO job (tenant_key, job_key, job_id, content_hash)
    SELECT 1, number, 'job-' || number, '' FROM generate_series(1, 4) AS number;
    INSERT INTO pending_task
        (tenant_key, job_key, unmet, eligible_time, task_classifier, task_api_version, task_data, task_pipe)
    VALUES (1, 1, 0, now(), 'Sort', 1, '', 'in'), (1, 2, 0, NULL, 'Sort', 1, '', 'in'),
        (1, 3, 0, now(), 'Sort', 1, '', 'in'), (1, 4, 1, NULL, 'Sort', 1, '', 'in');
    INSERT INTO outbox (tenant_key, job_key, send_number, task_id) VALUES (1, 1, 1, 'a');
    INSERT INTO outbox (tenant_key, job_key, source_topic, source_partition, source_offset, task_id)
    VALUES (1, 2, 'tracking', 0, 7, 'b');
    UPDATE deployment SET last_send_number = 1;
"""


def test_what_is_in_the_outbox_is_not_queued_again(empty_database_url: str) -> None:
    assert len(migrate.migrate(empty_database_url, last=BEFORE)) == BEFORE
    with closing(connect(empty_database_url, autocommit=True)) as connection:
        connection.execute(FILL)
    migrate.migrate(empty_database_url)
    with closing(ScheduleStore(empty_database_url)) as scheduler:
        scheduler.connect()
        with scheduler.transaction():
            scheduler.enqueue_due(10)
            entries = scheduler.read_outbox(0, 10, 1 << 20)
    assert [(each.send_number, str(each.task.job)) for each in entries if each.task] == [
        (1, "acme:job-1"),
        (2, "acme:job-3"),
    ]
