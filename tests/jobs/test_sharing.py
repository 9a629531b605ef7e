"""What a client may be shared by: threads, but neither processes nor event loops."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.client_fixtures import Connection
from tracker import AsyncClient, TrackerError

# A program that opens its client, and a listing, before it forks, as preloading web servers do.
FORKING = """
import os, sys, traceback
from tracker import Client, NewJob, TrackerError

client = Client(sys.argv[1], max_connections=2)
client.open()
task = {"taskClassifier": "Sort", "taskApiVersion": 1, "taskData": "{}", "taskPipe": "sort-in"}
jobs = lambda name: [{"id": f"{name}-{n}", "task": task} for n in range(3_000)]
client.submit(jobs("parent"))
listing = client.iterate()
next(listing)

def child(number):
    if number == 0:
        return  # one that does nothing with it, and ends as a program does
    assert client.get("parent-1").status == "Waiting"
    client.submit(jobs(number))
    assert sum(1 for _ in client.iterate()) >= 6_000
    try:
        next(listing)
    except TrackerError as error:
        assert str(error) == "this listing was started by another process; start one in each"
    else:
        raise AssertionError("a child reads the parent's listing")
    client.close()

children = []
for number in range(4):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            child(number)
            status = 0
        except BaseException:
            traceback.print_exc()
        if number % 2:
            os._exit(status)
        sys.exit(status)
    children.append(pid)
statuses = [os.waitpid(pid, 0)[1] for pid in children]
assert statuses == [0] * 4, statuses
assert sum(1 for _ in listing) >= 2_999
assert client.count(prefix="parent-") == 3_000
client.cancel("parent-0")
client.close()
print("done")
"""


def run_forking(database_url: str, program: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program, database_url],
        capture_output=True,
        text=True,
        timeout=90,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return ended.stdout


def test_a_client_that_was_opened_before_a_fork_works_in_each_process(
    database_url: str, connection: Connection
) -> None:
    assert run_forking(database_url, FORKING) == "done\n"


CLOSED = """
import os, sys
from tracker import Client, TrackerError
with Client(sys.argv[1]) as client:
    pid = os.fork()
    if pid:
        assert os.waitpid(pid, 0)[1] == 0
        client.count()
if pid == 0:
    try:
        client.count()
    except TrackerError as error:
        assert "not open" in str(error)
        sys.exit(0)
    sys.exit(1)
print("done")
"""


def test_a_client_that_a_child_closes_stays_open_in_its_parent(database_url: str) -> None:
    assert run_forking(database_url, CLOSED) == "done\n"


IN_A_CHILD = """
import asyncio, os, sys
from tracker import AsyncClient, TrackerError
client = AsyncClient(sys.argv[1])
loop = asyncio.new_event_loop()
loop.run_until_complete(client.open())
pid = os.fork()
if pid == 0:
    async def use():
        try:
            await client.count()
        except TrackerError as error:
            assert str(error) == "this AsyncClient was opened by another process; open one in each", error
            await client.close()
            os._exit(0)
    asyncio.new_event_loop().run_until_complete(use())
    os._exit(1)
assert os.waitpid(pid, 0)[1] == 0
assert loop.run_until_complete(client.count()) == 0
loop.run_until_complete(client.close())
loop.close()
print("done")
"""


def test_an_async_client_says_that_it_is_another_processs(database_url: str) -> None:
    assert run_forking(database_url, IN_A_CHILD) == "done\n"


def test_an_async_client_says_that_it_is_another_event_loops(database_url: str) -> None:
    client = AsyncClient(database_url)

    async def list_all() -> list[object]:
        return [each async for each in client.iterate()]

    with asyncio.Runner() as home, asyncio.Runner() as other:
        home.run(client.open())
        for act in (client.count, list_all, client.close):
            with pytest.raises(TrackerError, match="was opened in another event loop; open one in each"):
                other.run(act())
        assert home.run(client.count()) == 0
        home.run(client.close())


IN_THREADS = """
import os, sys, threading
from tracker import Client
client = Client(sys.argv[1], max_connections=2)
client.open()
pid = os.fork()
if pid == 0:
    answers, begin = [], threading.Barrier(8)
    def look():
        begin.wait()
        answers.append((client.count(), id(client._pool.get())))
    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join(60)
    client.close()
    os._exit(0 if len(answers) == 8 and len(set(answers)) == 1 else 1)
assert os.waitpid(pid, 0)[1] == 0
client.close()
print("done")
"""


def test_threads_of_a_child_that_begin_at_once_share_its_one_pool(database_url: str) -> None:
    assert run_forking(database_url, IN_THREADS) == "done\n"
