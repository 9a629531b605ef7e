"""Batches, submits, all the verbs of the client and the scheduler at the same time."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import psycopg

from tests.support.sessions import TASK, Observer, Worker
from tracker import Client, NewJob
from tracker.errors import TrackerError
from tracker.store.schedule_store import ScheduleStore


def test_everybody_at_once_never_deadlocks(
    client: Client, observer: Observer, database_url: str, threads: ThreadPoolExecutor
) -> None:
    """On twenty jobs, for three seconds and at least twenty turns of each."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    deadline = time.monotonic() + 3
    stop = threading.Event()

    def act(number: int, turn: Callable[[random.Random], None]) -> int:
        chance = random.Random(seed + number)
        done = 0
        while (time.monotonic() < deadline or done < 20) and not stop.is_set():
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
        for future in futures:
            future.result(60)
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
    verbs = [client.pause, client.resume, client.cancel, client.retry, client.delete, client.delete]

    def turn(chance: random.Random) -> None:
        chosen = names(chance, 5)
        how = chance.random()
        if how < 0.1:
            client.cancel(chosen, cascade=True)
        elif how < 0.2:
            client.release(chosen[0])
        elif how < 0.35:
            client.change_prerequisites(chosen[0], add=chosen[1:3], remove=chosen[3:])
        elif how < 0.6:
            chance.choice(verbs)(chosen)
        else:
            chance.choice(verbs)(matching=f"id=in=({','.join(chosen)})")

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
            SELECT job.job_id, task_message.unmet, task_message.eligible_time
            FROM task_message
            JOIN job USING (tenant_key, job_key)
            WHERE task_message.unmet <> (
                    SELECT count(*) FROM prerequisite
                    WHERE prerequisite.tenant_key = task_message.tenant_key
                        AND prerequisite.job_key = task_message.job_key
                )
                OR (task_message.unmet = 0 AND task_message.eligible_time IS NULL
                    AND task_message.sent_time IS NULL AND job.status < 3)
            """
        )
        == []
    )
    for table in ("task_message", "prerequisite", "label", "held_message", "resumed_job"):
        assert (
            observer.one(
                f"SELECT count(*) FROM {table} WHERE NOT EXISTS (SELECT FROM job WHERE job.tenant_key ="
                f" {table}.tenant_key AND job.job_key = {table}.job_key)"
            )
            == 0
        )
