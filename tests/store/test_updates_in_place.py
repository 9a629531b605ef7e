"""What every batch changes is updated in place (HOT): no index grows with the messages."""

import time
from contextlib import closing
from typing import Any

from tracker import Client, NewJob, NewTask
from tracker.fold.state import JobState
from tracker.identifiers import JobName
from tracker.store.applied_offsets import AppliedOffsets
from tracker.store.batch_store import BatchStore, CompletedJob
from tracker.store.connect import connect

TASK = NewTask(task_classifier="Sort", task_api_version=1, task_data="{}", task_pipe="sort-in")
JOBS = 200
BATCHES = 20


def share_in_place(database_url: str, table: str, *, least: int) -> float:
    """Return the share of a table's updates that changed no index, once at least so many are counted."""
    deadline = time.monotonic() + 30
    with closing(connect(database_url, autocommit=True)) as connection:
        while time.monotonic() < deadline:  # a session's counts are there shortly after it has ended
            [(updates, in_place)] = connection.execute(
                "SELECT sum(n_tup_upd)::float, sum(n_tup_hot_upd)::float FROM pg_stat_user_tables"
                " WHERE relname ~ %s",
                [f"^{table}(_[0-9]+)?$"],  # and its hash partitions
            ).fetchall()
            assert isinstance(updates, float)
            assert isinstance(in_place, float)
            if updates >= least:
                return in_place / updates
            time.sleep(0.05)
    raise AssertionError(f"fewer than {least} updates of {table}")


def submit(database_url: str, jobs: list[NewJob]) -> None:
    with Client(database_url) as client:
        client.submit(jobs)


def look_up(store: BatchStore, *job_ids: str) -> list[JobState]:
    found = store.lock_batch_jobs([JobName("default", job_id) for job_id in job_ids], set())
    return [found[JobName("default", job_id)] for job_id in job_ids]


def test_a_job_and_its_tasks_and_blocks_are_updated_in_place(store: BatchStore, database_url: str) -> None:
    names = [f"job-{number}" for number in range(JOBS)]
    submit(database_url, [NewJob(id=name, task=TASK) for name in names])
    for batch in range(1, BATCHES + 1):
        with store.transaction():
            keys = keys_of(look_up(store, *names))
            store._execute(
                "update_jobs",
                **keys,
                statuses=[1] * JOBS,
                percentages=[batch] * JOBS,
                end_records=[None] * JOBS,
            )
            store._execute(
                "store_blocks",
                **keys,
                paths=[""] * JOBS,
                blocks=[1] * JOBS,
                completed=[b"\xff" * (batch * 25)] * JOBS,
                tracked=[b""] * JOBS,
            )
            store._execute(
                "store_sibling_tasks",
                **keys,
                paths=[""] * JOBS,
                numbers=[0] * JOBS,
                tasks=[bytes([batch]) * 50] * JOBS,
                unknown=[1] * JOBS,
            )
    store.close()
    # All but the first, which changes the status.
    assert share_in_place(database_url, "job", least=JOBS * BATCHES) > 0.9
    assert share_in_place(database_url, "sibling_tasks", least=JOBS * (BATCHES - 1)) > 0.95
    assert share_in_place(database_url, "task_block", least=JOBS * (BATCHES - 1)) > 0.9


def keys_of(jobs: list[JobState]) -> dict[str, Any]:
    return {"tenant_keys": [job.tenant_key for job in jobs], "job_keys": [job.job_key for job in jobs]}


def test_a_prerequisite_that_is_met_is_counted_in_place(store: BatchStore, database_url: str) -> None:
    names = [f"job-{number}" for number in range(BATCHES)]
    submit(database_url, [NewJob(id=name, task=TASK) for name in names])
    waiting = [
        NewJob(id=f"waiting-{number}", task=TASK, prerequisite_job_ids=(*names, "never"))
        for number in range(JOBS)
    ]
    submit(database_url, waiting)
    for name in names:
        with store.transaction():
            [job] = look_up(store, name)
            store.release([CompletedJob(job, "tracking", 0, 1, None)], [])
    store.close()
    assert share_in_place(database_url, "task_message", least=JOBS * BATCHES) > 0.9


def test_the_progress_is_updated_in_place(store: BatchStore, database_url: str) -> None:
    place = ("tracking", 0)
    with store.transaction():
        store._execute(
            "start_progress", topics=["tracking"], kafka_partitions=[0], first_offsets=[0], topic_ids=["id"]
        )
    for offset in range(500):
        with store.transaction():
            assert place in store.lock_progress([place])
            store.advance_progress({place: AppliedOffsets(offset, 0)})
    store.close()
    assert share_in_place(database_url, "kafka_progress", least=500) > 0.95
