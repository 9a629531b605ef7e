"""The scheduler at work while the client ends, pauses or resumes what it sends."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.store.scheduling import sent_now
from tests.support.sessions import Observer, Worker, job, open_session, perform
from tracker import Client
from tracker.jobs import cascade, change
from tracker.store.schedule_store import ScheduleStore
from tracker.store.steps import Prepared


@pytest.mark.parametrize("verb", [cascade.cancel, change.delete])
def test_a_job_that_ends_after_it_was_queued_is_not_sent(
    client: Client,
    observer: Observer,
    scheduler: ScheduleStore,
    database_url: str,
    verb: Callable[..., Prepared[object]],
) -> None:
    client.submit([job("a"), job("b")])
    with scheduler.transaction():
        scheduler.enqueue_due(1000)
    with open_session(database_url) as session:
        perform(session, verb("a"))
        session.commit()
    with scheduler.transaction():
        sends = scheduler.read_outbox(0, 1000, 1 << 20)
    assert [send.task.job.job_id for send in sends if send.task] == ["b"]
    with scheduler.transaction():
        last, _ = scheduler.lock_send_numbers()
        scheduler.delete_published(last)
    assert [observer.left(table) for table in ("outbox", "task_message")] == [0, 1]


def test_a_job_cancelled_and_not_committed_is_sent_or_not_and_leaves_nothing(
    client: Client,
    observer: Observer,
    scheduler: ScheduleStore,
    database_url: str,
    threads: ThreadPoolExecutor,
) -> None:
    """What is published is cleared only when the cancel has let go of the pending task."""
    client.submit([job("a"), job("b")])
    assert sent_now(scheduler) == ["a", "b"]

    def clear() -> None:
        with scheduler.transaction():
            scheduler.delete_published(scheduler.lock_send_numbers()[0])

    with open_session(database_url) as session:
        perform(session, cascade.cancel("a"))
        clearing = threads.submit(clear)
        observer.wait_until_blocked()
        session.commit()
    clearing.result(30)
    assert [observer.left(table) for table in ("outbox", "task_message")] == [0, 1]


def hold(worker: Worker, job_id: str, count: int) -> None:
    with worker.store.transaction():
        state = worker.look_up([job_id], [])[job_id]
        worker.store._execute(
            "hold_messages",
            tenant_keys=[state.tenant_key] * count,
            job_keys=[state.job_key] * count,
            destinations=["sort-in"] * count,
            message_keys=[None] * count,
            message_values=[str(number).encode() for number in range(count)],
            headers=[None] * count,
            source_topics=["tracking"] * count,
            source_partitions=[0] * count,
            source_offsets=list(range(count)),
            source_times_ms=[0] * count,
        )


def test_what_a_job_held_is_sent_in_order_once_though_it_is_paused_again_in_between(
    client: Client, workers: list[Worker], scheduler: ScheduleStore
) -> None:
    client.submit([job("a")])
    client.pause("a")
    hold(workers[0], "a", 100)
    client.resume("a")
    sent: list[bytes] = []
    sent_number = 0

    def turn(limit: int) -> None:
        nonlocal sent_number
        with scheduler.transaction():
            scheduler.lock_send_numbers()
            scheduler.delete_published(sent_number)
            scheduler.enqueue_due(limit)
            sends = scheduler.read_outbox(sent_number, 1000, 1 << 20)
        sent.extend(send.held.value for send in sends if send.held)
        sent_number = sends[-1].send_number if sends else sent_number

    turn(30)
    client.pause("a")
    turn(30)
    assert len(sent) == 30
    client.resume("a")
    for _ in range(10):
        turn(30)
    assert sent == [str(number).encode() for number in range(100)]


def test_a_resumed_job_that_is_being_paused_again_is_not_forgotten_nor_waited_for(
    client: Client, observer: Observer, workers: list[Worker], scheduler: ScheduleStore, database_url: str
) -> None:
    client.submit([job("a")])
    client.pause("a")
    hold(workers[0], "a", 3)
    client.resume("a")
    with open_session(database_url) as session:
        perform(session, change.pause("a"))
        with scheduler.transaction():
            scheduler.enqueue_due(1000)  # would be blocked
        session.rollback()
    assert observer.left("resumed_job") == 1
