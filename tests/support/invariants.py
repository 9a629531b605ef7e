"""What must hold of any deployment at rest, whatever happened to it before."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.support.kafka import wait_until
from tests.support.stored_tasks import bits_of, stored_tasks
from tracker.store.sibling_tasks import SIBLINGS

if TYPE_CHECKING:
    from tests.support.deployment import Deployment

_OF_A_JOB = (
    "label",
    "prerequisite",
    "task_message",
    "held_message",
    "resumed_job",
    "outbox",
    "sibling_tasks",
    "task_block",
    "task_failure",
    "job_note",
)

QUERIES = {
    # What the scheduler or a worker has yet to send, or to note as sent.
    "due_sends": """
        SELECT (SELECT count(*) FROM outbox)
            + (SELECT count(*) FROM resumed_job)
            + (SELECT count(*) FROM task_message JOIN tenant USING (tenant_key)
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
        SELECT job.job_id, task_message.unmet, count(prerequisite.job_key)
        FROM task_message
        JOIN job USING (tenant_key, job_key)
        LEFT JOIN prerequisite USING (tenant_key, job_key)
        GROUP BY job.job_id, task_message.tenant_key, task_message.job_key, task_message.unmet
        HAVING task_message.unmet <> count(prerequisite.job_key)
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
        SELECT job_id FROM sibling_tasks JOIN job USING (tenant_key, job_key) WHERE job.status = 5
        UNION ALL SELECT job_id FROM task_block JOIN job USING (tenant_key, job_key) WHERE job.status = 5
        UNION ALL SELECT job_id FROM task_failure JOIN job USING (tenant_key, job_key) WHERE job.status = 5
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
    _check_tasks(deployment.rows(_TASKS))


# In one statement, so that it sees one state. The tasks of runs that were retried are removed in steps.
_TASKS = """
    SELECT tenant_key, job_key, path, tasks, unknown, 0, 0
    FROM sibling_tasks JOIN job USING (tenant_key, job_key)
    UNION ALL
    SELECT tenant_key, job_key, path, NULL, 0, bit_count(completed), bit_count(tracked)
    FROM task_block JOIN job USING (tenant_key, job_key)
"""


def _check_tasks(rows: list[tuple[Any, ...]]) -> None:
    """Fail if counts and bits differ, or bits and tasks, or a task and what its row says of it."""
    completed: Counter[tuple[int, int, str]] = Counter()
    tracked: Counter[tuple[int, int, str]] = Counter()
    counted: dict[tuple[int, int, str], int] = {}
    children: Counter[tuple[int, int, str]] = Counter()
    for tenant_key, job_key, path, tasks, unknown, completed_bits, tracked_bits in rows:
        completed[tenant_key, job_key, path] += completed_bits
        tracked[tenant_key, job_key, path] += tracked_bits
        if tasks is None:
            continue
        stored = stored_tasks([(path, tasks)])
        assert stored, f"a row without tasks, below {path!r}"
        for task, (_, _, last, highest, done, _, _, done_bits, own_bits) in stored.items():
            key = (tenant_key, job_key, task)
            counted[key] = done
            completed[key] += bits_of(done_bits).bit_count()
            tracked[key] += bits_of(own_bits).bit_count()
            if task:
                children[tenant_key, job_key, path] += 1
            bit = unknown >> (int(task.rpartition(".")[2] or 0) % SIBLINGS) & 1
            assert bit == (highest > 0 and not last), f"whether the children of {task!r} are counted"
    assert +completed == +Counter(counted), "counts and bits differ"
    assert +tracked == +children, "tracked bits and tasks differ"


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
