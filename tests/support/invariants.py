"""What must hold of any deployment at rest, whatever happened to it before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.kafka import wait_until

if TYPE_CHECKING:
    from tests.support.deployment import Deployment

_OF_A_JOB = (
    "label",
    "prerequisite",
    "pending_task",
    "held_message",
    "resumed_job",
    "outbox",
    "task",
    "task_block",
    "task_failure",
)

QUERIES = {
    # What the scheduler or a worker has yet to send, or to note as sent.
    "due_sends": """
        SELECT (SELECT count(*) FROM outbox)
            + (SELECT count(*) FROM resumed_job)
            + (SELECT count(*) FROM pending_task JOIN tenant USING (tenant_key)
               WHERE eligible_time <= now() AND NOT paused AND NOT suspended)
    """,
    "orphans": " UNION ALL ".join(
        f"""
        SELECT '{table}', count(*) FROM {table}
        LEFT JOIN job USING (tenant_key, job_key)
        LEFT JOIN removed_job USING (tenant_key, job_key)
        WHERE job.job_key IS NULL AND removed_job.job_key IS NULL HAVING count(*) > 0
        """
        for table in _OF_A_JOB
        if table != "outbox"  # a row may outlive its cancelled or deleted job, until it is sent to nobody
    ),
    "unmet_and_edges_differ": """
        SELECT job.job_id, pending_task.unmet, count(prerequisite.job_key)
        FROM pending_task
        JOIN job USING (tenant_key, job_key)
        LEFT JOIN prerequisite USING (tenant_key, job_key)
        GROUP BY job.job_id, pending_task.tenant_key, pending_task.job_key, pending_task.unmet
        HAVING pending_task.unmet <> count(prerequisite.job_key)
    """,
    "waits_for_a_completed_job": """
        SELECT dependent.job_id, job.job_id
        FROM prerequisite
        JOIN job ON job.tenant_key = prerequisite.tenant_key AND job.job_id = prerequisite.prerequisite_job_id
        JOIN job AS dependent
            ON dependent.tenant_key = prerequisite.tenant_key AND dependent.job_key = prerequisite.job_key
        WHERE job.status = 5
    """,
    "held_for_an_ended_job": """
        SELECT job_id, count(*) FROM held_message JOIN job USING (tenant_key, job_key)
        WHERE job.status > 2 GROUP BY job_id
    """,
    "tasks_of_a_completed_job": """
        SELECT job_id FROM task JOIN job USING (tenant_key, job_key) WHERE job.status = 5
        UNION ALL SELECT job_id FROM task_block JOIN job USING (tenant_key, job_key) WHERE job.status = 5
        UNION ALL SELECT job_id FROM task_failure JOIN job USING (tenant_key, job_key) WHERE job.status = 5
    """,
    "counts_and_bits_differ": """
        SELECT job_id, task.path, task.completed_children, bits.completed
        FROM task
        JOIN job USING (tenant_key, job_key)
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(bit_count(completed)), 0) AS completed FROM task_block
            WHERE task_block.tenant_key = task.tenant_key AND task_block.job_key = task.job_key
                AND task_block.path = task.path
        ) AS bits
        WHERE task.completed_children <> bits.completed
    """,
    "tracked_bits_and_tasks_differ": """
        SELECT job_id, sum(tracked.bits), tasks.number
        FROM job
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(bit_count(tracked)), 0) AS bits FROM task_block
            WHERE task_block.tenant_key = job.tenant_key AND task_block.job_key = job.job_key
        ) AS tracked
        CROSS JOIN LATERAL (
            SELECT count(*) AS number FROM task
            WHERE task.tenant_key = job.tenant_key AND task.job_key = job.job_key AND task.path <> ''
        ) AS tasks
        WHERE tracked.bits <> tasks.number
        GROUP BY job_id, tasks.number
    """,
    "progress_out_of_bounds": """
        SELECT topic, kafka_partition, next_offset, published_offset, length(withheld)
        FROM kafka_progress
        WHERE published_offset > next_offset OR length(withheld) > (next_offset - published_offset + 7) / 8
    """,
    "deadlocks": """
        SELECT deadlocks FROM pg_stat_database WHERE datname = current_database() AND deadlocks > 0
    """,
}

_ALWAYS = [name for name in QUERIES if name != "due_sends"]


def check(deployment: Deployment) -> None:
    """Fail if the database contradicts itself. This holds at any time, at rest or not."""
    for name in _ALWAYS:
        assert deployment.rows(name) == [], name


def check_at_rest(deployment: Deployment) -> None:
    """Wait until all is processed and sent, and fail if Kafka and the database do not agree on it."""
    deployment.wait_until_processed()
    deployment.wait_until_sent()
    kafka, topics = deployment.kafka, deployment.topics
    applied = {
        (topic, number): next_offset
        for topic, number, next_offset in deployment.rows(
            "SELECT topic, kafka_partition, next_offset FROM kafka_progress"
        )
    }
    committed = kafka.committed(deployment.group_id, *deployment.settings.topics)
    moved = {key: offset for key, offset in committed.items() if offset > 0}
    assert moved == applied, f"the group is at {moved}, the database at {applied}"
    all_topics = {*topics, *deployment.settings.topics}
    wait_until(
        lambda: kafka.ends(*all_topics) == kafka.ends(*all_topics, committed=True),
        "no open transaction",
    )
    check(deployment)
