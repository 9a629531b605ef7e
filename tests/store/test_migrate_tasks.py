"""The migration that puts siblings into one row keeps each task, and each bit of its children."""

import random
from contextlib import closing

import psycopg
import pytest

from tracker.fold.state import BLOCK_CHILDREN, JobState, TaskState, children_in
from tracker.identifiers import JobName
from tracker.job_status import JobStatus
from tracker.store import migrate
from tracker.store.batch_store import BatchStore
from tracker.store.connect import connect
from tracker.store.migrate import known_migrations

BEFORE = 6  # migrations
# At the bounds of MessagePack's sizes, and of the columns.
NUMBERS = (0, 1, 127, 128, 255, 256, 32_767, 32_768, 65_535, 65_536, 99_700_000, 2**31 - 1)
SUMS = (*NUMBERS, 2**31, 2**32 - 1, 2**32, 2**40)
PATHS = ("", "1", "31", "32", "33", "63", "64", "3", "3.1", "3.31", "3.32", "3.4096", "3.32.7", "2147483647")
JOB = (1, 1)


class Task:
    """A task as it was stored before the migration."""

    def __init__(self, path: str, choose: random.Random) -> None:
        self.path = path
        self.failed = choose.random() < 0.5
        self.numbers = [choose.choice(NUMBERS) for _ in range(5)]
        self.sum = choose.choice(SUMS)
        # block -> bits of completed and of tracked children, with as many bytes as there must be
        self.blocks = {number: (_bits(choose), _bits(choose)) for number in range(3) if choose.random() < 0.7}

    def row(self) -> tuple[object, ...]:
        reported, *others = self.numbers
        return (*JOB, self.path, reported, self.failed, *others, self.sum)

    def state(self) -> TaskState:
        """Return what is to be loaded after the migration."""
        return TaskState(*self.row()[3:])  # type: ignore[arg-type]

    def children(self, kind: int) -> set[int]:
        """Return the completed (0) or the tracked children (1)."""
        return {
            number * BLOCK_CHILDREN + bit + 1
            for number, bits in self.blocks.items()
            for bit in range(BLOCK_CHILDREN)
            if int.from_bytes(bits[kind], "little") >> bit & 1
        }


def _bits(choose: random.Random) -> bytes:
    return choose.randbytes(choose.choice((0, 1, 31, 32, 33, 64, 512))).rstrip(b"\0")


@pytest.fixture
def old_url(empty_database_url: str) -> str:
    """A database as it was before the migration."""
    assert len(migrate.migrate(empty_database_url, last=BEFORE)) == BEFORE
    return empty_database_url


def fill(url: str, tasks: list[Task]) -> None:
    with closing(connect(url, autocommit=True)) as connection:
        connection.execute("INSERT INTO tenant (partition_id) VALUES ('acme')")
        connection.execute("INSERT INTO job (tenant_key, job_id, content_hash) VALUES (1, 'job', '')")
        for task in tasks:
            connection.execute(f"INSERT INTO task VALUES ({', '.join(['%s'] * 10)})", task.row())
            for number, bits in task.blocks.items():
                connection.execute(
                    "INSERT INTO task_block VALUES (%s, %s, %s, %s, %s, %s)", (*JOB, task.path, number, *bits)
                )


def children_of(job: JobState, path: str, kind: str) -> set[int]:
    return {
        child
        for (at, number), block in job.blocks.items()
        if at == path
        for child in children_in(number, getattr(block, kind))
    }


@pytest.mark.parametrize("seed", range(5))
def test_no_task_and_no_bit_is_lost(old_url: str, seed: int) -> None:
    choose = random.Random(seed)
    tasks = [Task(path, choose) for path in PATHS if choose.random() < 0.8]
    fill(old_url, tasks)
    assert len(migrate.migrate(old_url)) == len(known_migrations()) - BEFORE
    job = JobState(JobName("acme", "job"), *JOB, JobStatus.ACTIVE, 0)
    with closing(BatchStore(old_url)) as store:
        store.connect()
        with store.transaction():
            store.load([(job, PATHS, [(path, number) for path in PATHS for number in range(1, 5)])])
        unknown = {
            (path, number * 32 + bit)
            for path, number, bits in store._open.execute("SELECT path, number, unknown FROM sibling_tasks")
            for bit in range(32)
            if bits >> bit & 1
        }
    assert job.tasks.keys() == {task.path for task in tasks}
    for task in tasks:
        loaded, expected = job.tasks[task.path], task.state()
        for name in ("reported", "failed", "last_child", "highest_child", "completed_children"):
            assert getattr(loaded, name) == getattr(expected, name), (task.path, name)
        assert (loaded.failed_children, loaded.children_percentage) == (task.numbers[4], task.sum)
        assert children_of(job, task.path, "completed") == task.children(0)
        assert children_of(job, task.path, "tracked") == task.children(1)
    assert unknown == {
        (path.rpartition(".")[0], int(path.rpartition(".")[2] or 0))
        for path, task in job.tasks.items()
        if task.highest_child and not task.last_child
    }


def test_no_empty_block_remains(old_url: str) -> None:
    small = Task("", random.Random(1))
    small.blocks = {0: (b"\xff" * 32, b"\1")}
    fill(old_url, [small])
    migrate.migrate(old_url)
    with psycopg.connect(old_url) as connection:
        assert connection.execute("SELECT count(*) FROM tracker.task_block").fetchall() == [(0,)]
