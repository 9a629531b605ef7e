"""What happens at the same moment: a batch that releases, another one, the client, the scheduler.

Each test holds one transaction open, begins the other, waits until it is blocked or done, and commits.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import psycopg
import pytest

from tests.support.sessions import TASK, Observer, Worker, job, open_session, perform
from tracker import Client, NewJob
from tracker.errors import TrackerError
from tracker.jobs import change
from tracker.store.schedule_store import ScheduleStore
from tracker.store.steps import Prepared

WAITING, ACTIVE, PAUSED, FAILED, CANCELLED, COMPLETED = range(6)


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    with Client(database_url, max_connections=4) as client:
        yield client


@pytest.fixture
def workers(database_url: str) -> Iterator[list[Worker]]:
    workers = [Worker(database_url, number) for number in range(2)]
    yield workers
    for worker in workers:
        worker.close()


@pytest.fixture
def scheduler(database_url: str) -> Iterator[ScheduleStore]:
    scheduler = ScheduleStore(database_url)
    scheduler.connect()
    with closing(scheduler):
        yield scheduler


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def sent_now(scheduler: ScheduleStore) -> list[str]:
    """Have the scheduler queue what is due, and return the jobs that it would send."""
    with scheduler.transaction():
        scheduler.enqueue_due(1000)
        return [send.task.job.job_id for send in scheduler.read_outbox(0, 1000, 1 << 20) if send.task]


# Two batches


def test_the_second_of_two_prerequisites_that_complete_at_once_releases(
    client: Client, observer: Observer, workers: list[Worker], threads: ThreadPoolExecutor
) -> None:
    """Each sees the other's edge; the count goes through the lock of the pending task."""
    client.submit([job("a"), job("b"), job("d", "a", "b")])
    first, second = workers
    with first.batch(complete="a"):
        running = threads.submit(second.run, complete="b")
        observer.wait_until_blocked()
    running.result(30)
    assert first.starts() == []
    assert second.starts() == ["d"]
    assert observer.left("prerequisite") == 0


def test_many_dependents_of_two_prerequisites_are_released_once(
    client: Client, observer: Observer, workers: list[Worker], threads: ThreadPoolExecutor
) -> None:
    names = {f"d{number}" for number in range(300)}
    client.submit([job("a"), job("b"), *(job(name, "a", "b") for name in names)])
    first, second = workers
    with first.batch(complete="a"):
        running = threads.submit(second.run, complete="b")
        observer.wait_until_blocked()
    running.result(30)
    assert first.starts() == []
    started = second.starts()
    assert len(started) == len(names)
    assert set(started) == names


def test_a_dependent_is_failed_by_one_batch_while_another_meets_its_other_prerequisite(
    client: Client, observer: Observer, workers: list[Worker], threads: ThreadPoolExecutor
) -> None:
    client.submit([job("a"), job("b"), job("d", "a", "b"), job("e", "d")])
    first, second = workers
    with first.batch(complete="a"):
        failing = threads.submit(second.run, fail="b")
        observer.wait_until_blocked()
    failing.result(30)
    assert [observer.status(name) for name in "abde"] == [COMPLETED, FAILED, FAILED, FAILED]
    assert observer.left("outbox") == 0
    assert observer.left("prerequisite") == 0


def test_a_prerequisite_met_while_its_dependent_is_being_failed_releases_nothing(
    client: Client, observer: Observer, workers: list[Worker], threads: ThreadPoolExecutor
) -> None:
    client.submit([job("a"), job("b"), job("d", "a", "b")])
    first, second = workers
    with first.batch(fail="b"):
        completing = threads.submit(second.run, complete="a")
        observer.wait_until_blocked()
    completing.result(30)
    assert observer.status("d") == FAILED
    assert observer.left("outbox") == 0


def test_a_batch_that_completes_and_fails_locks_all_its_edges_first(
    client: Client,
    observer: Observer,
    workers: list[Worker],
    database_url: str,
    threads: ThreadPoolExecutor,
) -> None:
    """Or it would have d's pending task when it comes for e's edge, and another batch the reverse."""
    client.submit([job("a"), job("b"), job("c"), job("d", "a", "c"), job("e", "b", "c")])
    first, second = workers
    with open_session(database_url) as third:
        third.execute(
            "SELECT FROM pending_task JOIN job USING (tenant_key, job_key) WHERE job_id = 'd' FOR UPDATE"
        )
        both = threads.submit(first.run, complete="a", fail="b")
        observer.wait_until_blocked()
        other = threads.submit(second.run, complete="c")
        observer.wait_until_blocked(2)
        third.commit()
    both.result(30)
    other.result(30)
    assert first.starts() + second.starts() == ["d"]
    assert observer.status("e") == FAILED


# Failures and a submit


def test_a_job_submitted_downstream_while_the_batch_waits_is_failed_too(
    client: Client,
    observer: Observer,
    workers: list[Worker],
    database_url: str,
    threads: ThreadPoolExecutor,
) -> None:
    """It was not there when the batch looked what is downstream, and is by the time that the locks are had.

    To lock it then would be out of order; so the batch begins again.
    """
    client.submit([job("a"), job("b", "a")])
    worker = workers[0]
    with open_session(database_url) as submitting:
        submitting.execute("SELECT FROM job WHERE job_id = 'b' FOR SHARE")
        failing = threads.submit(worker.run, fail="a")
        observer.wait_until_blocked()
        submitting.execute(
            """
            WITH dependent AS (
                INSERT INTO job (tenant_key, job_key, job_id, content_hash)
                SELECT tenant_key, 1000, 'c', '' FROM tenant RETURNING tenant_key, job_key
            )
            INSERT INTO prerequisite SELECT tenant_key, 'b', job_key FROM dependent
            """
        )
        submitting.commit()
    with pytest.raises(psycopg.errors.SerializationFailure, match="submitted downstream"):
        failing.result(30)
    assert observer.status("a") == WAITING
    worker.run(fail="a")
    assert [observer.status(name) for name in "abc"] == [FAILED] * 3


# A release and the client


@pytest.mark.parametrize("verb", [change.cancel, change.delete])
def test_a_job_that_ends_while_its_prerequisite_completes_is_not_released(
    client: Client,
    observer: Observer,
    workers: list[Worker],
    database_url: str,
    threads: ThreadPoolExecutor,
    verb: Callable[..., Prepared[object]],
) -> None:
    client.submit([job("a"), job("d", "a")])
    with open_session(database_url) as session:
        perform(session, verb("d"))
        completing = threads.submit(workers[0].run, complete="a")
        observer.wait_until_blocked()
        session.commit()
    completing.result(30)
    assert workers[0].starts() == []
    assert [observer.left(table) for table in ("outbox", "prerequisite")] == [0, 0]


@pytest.mark.parametrize("verb", [change.cancel, change.delete])
def test_a_job_that_ends_while_it_is_released_is_not_sent(
    client: Client,
    observer: Observer,
    workers: list[Worker],
    database_url: str,
    threads: ThreadPoolExecutor,
    verb: Callable[..., Prepared[object]],
) -> None:
    client.submit([job("a"), job("d", "a")])
    with open_session(database_url) as session:
        with workers[0].batch(complete="a"):
            ending = threads.submit(perform, session, verb("d"))
            observer.wait_until_blocked()
        ending.result(30)
        session.commit()
    assert workers[0].starts() == []
    workers[0].clear()
    assert [observer.left(table) for table in ("outbox", "prerequisite")] == [0, 0]
    assert (
        observer.rows("SELECT FROM pending_task JOIN job USING (tenant_key, job_key) WHERE job_id = 'd'")
        == []
    )


def test_a_job_that_is_paused_while_its_prerequisite_completes_is_sent_once_it_is_resumed(
    client: Client,
    observer: Observer,
    workers: list[Worker],
    scheduler: ScheduleStore,
    database_url: str,
    threads: ThreadPoolExecutor,
) -> None:
    client.submit([job("a"), job("d", "a")])
    with open_session(database_url) as session:
        perform(session, change.pause("d"))
        completing = threads.submit(workers[0].run, complete="a")
        observer.wait_until_blocked()
        session.commit()
    completing.result(30)
    assert workers[0].starts() == []
    assert "d" not in sent_now(scheduler)
    client.resume("d")
    assert "d" in sent_now(scheduler)
    assert (
        observer.one("SELECT count(*) FROM outbox JOIN job USING (tenant_key, job_key) WHERE job_id = 'd'")
        == 1
    )


def test_a_job_that_is_resumed_while_its_prerequisite_completes_is_sent_once(
    client: Client,
    observer: Observer,
    workers: list[Worker],
    scheduler: ScheduleStore,
    database_url: str,
    threads: ThreadPoolExecutor,
) -> None:
    """The batch sees the job as it was before, Paused, and the pending task as it is after."""
    client.submit([job("a"), job("d", "a")])
    client.pause("d")
    with open_session(database_url) as session:
        perform(session, change.resume("d"))
        completing = threads.submit(workers[0].run, complete="a")
        observer.wait_until_blocked()
        session.commit()
    completing.result(30)
    assert workers[0].starts().count("d") + sent_now(scheduler).count("d") == 1


def test_a_job_that_is_paused_while_it_is_released_is_sent_once(
    client: Client,
    observer: Observer,
    workers: list[Worker],
    scheduler: ScheduleStore,
    database_url: str,
    threads: ThreadPoolExecutor,
) -> None:
    client.submit([job("a"), job("d", "a")])
    with open_session(database_url) as session:
        with workers[0].batch(complete="a"):
            pausing = threads.submit(perform, session, change.pause("d"))
            observer.wait_until_blocked()
        pausing.result(30)
        session.commit()
    assert workers[0].starts() == ["d"]
    client.resume("d")
    assert "d" not in sent_now(scheduler)


def test_a_partition_suspended_while_its_job_is_released_is_either_before_or_after(
    client: Client, workers: list[Worker], scheduler: ScheduleStore, database_url: str
) -> None:
    client.submit([job("a"), job("d", "a")])
    with open_session(database_url) as session:
        perform(session, change.suspend_partition("default"))
        workers[0].run(complete="a")  # waits for nobody
        session.commit()
    assert workers[0].starts() == ["d"]
    client.submit([job("b"), job("e", "b")])
    workers[0].run(complete="b")
    assert workers[0].starts() == ["d"]
    assert sent_now(scheduler) == []
    client.resume_partition("default")
    assert "e" in sent_now(scheduler)


# The scheduler and the client


@pytest.mark.parametrize("verb", [change.cancel, change.delete])
def test_a_job_that_ends_after_it_was_queued_is_not_sent(
    client: Client,
    observer: Observer,
    scheduler: ScheduleStore,
    database_url: str,
    verb: Callable[..., Prepared[object]],
) -> None:
    client.submit([job("a"), job("b")])
    with open_session(database_url) as session, scheduler.transaction():
        scheduler.enqueue_due(1000)
        perform(session, verb("a"))
        session.commit()
        sends = scheduler.read_outbox(0, 1000, 1 << 20)
    assert [send.task.job.job_id for send in sends if send.task] == ["b"]
    with scheduler.transaction():
        last, _ = scheduler.lock_send_numbers()
        scheduler.delete_published(last)
    assert [observer.left(table) for table in ("outbox", "pending_task")] == [0, 0]


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
        perform(session, change.cancel("a"))
        clearing = threads.submit(clear)
        observer.wait_until_blocked()
        session.commit()
    clearing.result(30)
    assert [observer.left(table) for table in ("outbox", "pending_task")] == [0, 0]


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


# All of them


def test_everybody_at_once_never_deadlocks(
    client: Client, observer: Observer, database_url: str, threads: ThreadPoolExecutor
) -> None:
    """Batches, submits, all the client's verbs and the scheduler, on twenty jobs, for three seconds."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    deadline = time.monotonic() + 3
    stop = threading.Event()

    def act(number: int, turn: Callable[[random.Random], None]) -> int:
        chance = random.Random(seed + number)
        done = 0
        while time.monotonic() < deadline and not stop.is_set():
            try:
                # What the client refuses; and a batch that has to begin again.
                with suppress(TrackerError, psycopg.errors.SerializationFailure):
                    turn(chance)
                    done += 1
            except BaseException:
                stop.set()
                raise
        return done

    with (
        closing(Worker(database_url, 0)) as one,
        closing(Worker(database_url, 1)) as two,
        closing(ScheduleStore(database_url)) as scheduler,
    ):
        scheduler.connect()
        turns = [
            batches_of(one),
            batches_of(two),
            submits_of(client),
            changes_of(client),
            changes_of(client),
            rounds_of(scheduler),
        ]
        futures = [threads.submit(act, number, turn) for number, turn in enumerate(turns)]
        assert all(future.result(60) > 10 for future in futures)
    client.close()
    assert observer.deadlocks() == 0
    assert_nobody_waits_in_vain(observer)


def names(chance: random.Random, most: int) -> list[str]:
    return [f"j{number}" for number in chance.sample(range(20), chance.randint(1, most))]


def batches_of(worker: Worker) -> Callable[[random.Random], None]:
    def turn(chance: random.Random) -> None:
        chosen = names(chance, 6)
        with worker.store.transaction():
            worker.apply(chosen[:4], chosen[4:])
        if chance.random() < 0.5:
            worker.clear()

    return turn


def submits_of(client: Client) -> Callable[[random.Random], None]:
    def turn(chance: random.Random) -> None:
        order = sorted(names(chance, 10), key=lambda name: int(name[1:]))
        submitted = client.submit(
            NewJob(
                id=name, task=TASK, prerequisite_job_ids=tuple(chance.sample(order[:place], min(place, 3)))
            )
            for place, name in enumerate(order)
        )
        assert [each.id for each in submitted] == order

    return turn


def changes_of(client: Client) -> Callable[[random.Random], None]:
    def turn(chance: random.Random) -> None:
        verb = chance.choice([client.pause, client.resume, client.cancel, client.delete, client.delete])
        verb(names(chance, 5))

    return turn


def rounds_of(scheduler: ScheduleStore) -> Callable[[random.Random], None]:
    def turn(chance: random.Random) -> None:
        with scheduler.transaction():
            last, _ = scheduler.lock_send_numbers()
            scheduler.delete_published(chance.randint(0, last))
            scheduler.enqueue_due(5)
            scheduler.read_outbox(0, 10, 1 << 20)

    return turn


def assert_nobody_waits_in_vain(observer: Observer) -> None:
    """The count of what a job waits for is that of its edges; where it is 0, somebody is to send it."""
    assert (
        observer.rows(
            """
            SELECT job.job_id, pending_task.unmet, pending_task.eligible_time
            FROM pending_task
            JOIN job USING (tenant_key, job_key)
            WHERE pending_task.unmet <> (
                    SELECT count(*) FROM prerequisite
                    WHERE prerequisite.tenant_key = pending_task.tenant_key
                        AND prerequisite.job_key = pending_task.job_key
                )
                OR (pending_task.unmet = 0 AND pending_task.eligible_time IS NULL AND NOT EXISTS (
                    SELECT FROM outbox
                    WHERE outbox.tenant_key = pending_task.tenant_key
                        AND outbox.job_key = pending_task.job_key
                ))
            """
        )
        == []
    )
    for table in ("pending_task", "prerequisite", "label", "held_message", "resumed_job"):
        assert (
            observer.one(
                f"SELECT count(*) FROM {table} WHERE NOT EXISTS (SELECT FROM job WHERE job.tenant_key ="
                f" {table}.tenant_key AND job.job_key = {table}.job_key)"
            )
            == 0
        )
