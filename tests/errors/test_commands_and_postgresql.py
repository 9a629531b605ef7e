"""Whatever error PostgreSQL answers a command with, and whenever: a sentence, and no traceback."""

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple

import pytest
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.errors.answering import AnsweringProxy
from tests.support.kafka import MakeTopic
from tracker import Client, NewJob, NewTask
from tracker.cli import main
from tracker.store.connect import connect

CODES = sorted(code for code in vars(errors)["_sqlcodes"] if len(code) == 5)
# One for each class, and those that a command may well meet.
COMMON = sorted(
    {
        *{code[:2]: code for code in reversed(CODES)}.values(),
        *("08006", "25006", "40001", "40P01", "42501", "42P01", "42P07", "53100", "53300", "55P03", "57014"),
    }
)
TASK = b'{"taskClassifier": "c", "taskApiVersion": 1, "taskData": "x", "taskPipe": "work"}'
JOB = b'{"id": "new", "task": %b}' % TASK
COMMANDS = (
    "migrate",
    "migrate --status",
    "job list",
    "job show acme:job",
    "job cancel acme:job",
    "job submit -",
    "job failures acme:job",
    "job missing acme:job",
    "job watch acme:ended",
    "partition suspend acme",
    "partition list",
    "adopt kafka --dry-run",
)


class Result(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def proxy(database_url: str) -> Iterator[AnsweringProxy]:
    with Client(database_url) as client:
        task = NewTask(task_classifier="c", task_api_version=1, task_data="x", task_pipe="work")
        client.submit([NewJob(partition_id="acme", id=name, task=task) for name in ("job", "ended")])
    with closing(connect(database_url, autocommit=True)) as connection:
        connection.execute("UPDATE job SET status = 5 WHERE job_id = 'ended'")
    with AnsweringProxy(int(str(conninfo_to_dict(database_url)["port"]))) as proxy:
        yield proxy


@pytest.fixture
def run(
    proxy: AnsweringProxy,
    database_url: str,
    bootstrap_servers: str,
    topic: MakeTopic,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[[str], Result]:
    for name in os.environ:
        if name.startswith(("TRACKER_", "CAF_", "JOB_SERVICE_", "PG")):
            monkeypatch.delenv(name)
    url = make_conninfo(database_url, host="127.0.0.1", hostaddr="127.0.0.1", port=proxy.port)
    monkeypatch.setenv("TRACKER_DATABASE_URL", url)
    monkeypatch.setenv("TRACKER_KAFKA_BOOTSTRAP_SERVERS", bootstrap_servers)
    monkeypatch.setenv("TRACKER_TOPICS", topic("tracking"))

    def run(command: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["tracker", *command.split()])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(JOB)))
        return Result(main(), *capsys.readouterr())

    return run


def is_well_said(result: Result) -> bool:
    """Whether it is, where the command has not simply done it again."""
    if result.status == 0:
        return True
    return result.status == 1 and "Traceback" not in result.err and result.err.strip().endswith(".")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_error_is_a_sentence(proxy: AnsweringProxy, run: Callable[[str], Result], command: str) -> None:
    proxy.answer(-1, "")
    assert run(command).status == 0
    requests = proxy.requests
    assert requests > 3
    index = COMMANDS.index(command)
    # What each code means is tested without a proxy; here each request is answered by some of them.
    answered = 0
    for at in range(index % 3, requests, 3):
        code = COMMON[(index + 7 * at) % len(COMMON)]
        proxy.answer(at, code)
        result = run(command)
        answered += proxy.answered  # a pool that connects beside the command may not come to its last request
        assert is_well_said(result), (code, at, result)
    assert answered >= 2
