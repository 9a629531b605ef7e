"""Fixtures that all tests share."""

import os
import shutil
import signal
import tempfile
import threading
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from tests.support.databases import new_database, spread_over_hash_partitions
from tests.support.kafka import MakeTopic
from tracker.errors import StackError
from tracker.stack import LocalStack
from tracker.stack.kafka_software import find_kafka
from tracker.stack.lifetime import wait_until
from tracker.stack.local import KAFKA_VARIABLE
from tracker.store.migrate import migrate

_MEMORY = Path("/dev/shm")
_ENOUGH_MEMORY_BYTES = 6 << 30  # the servers of four test processes use up to 3 GB


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the same tests run on tables that are spread."""
    parser.addoption(
        "--hash-partitions",
        type=int,
        default=0,
        metavar="N",
        help="spread the tables over N hash partitions (deploy/hash-partitions.sql)",
    )


def pytest_configure() -> None:
    """Prepare what the programs under test inherit."""
    _take_signals()
    _keep_the_timer()
    _keep_data_in_memory()


def _take_signals() -> None:
    """Have the programs under test take signals as in the foreground: those that are ignored are inherited.

    `nohup` ignores SIGHUP, and a shell's `&` ignores SIGINT.
    """
    for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if (
            signal.getsignal(number) is signal.SIG_IGN
            and threading.current_thread() is threading.main_thread()
        ):
            signal.signal(number, default)


def _keep_the_timer() -> None:
    """Refuse alarms in this process: it has one timer, which is that of pytest-timeout.

    An alarm that a test left behind was taken for the time limit of the test after it.
    """

    def alarm(_seconds: int) -> int:
        raise RuntimeError("the alarm of this process belongs to pytest-timeout")

    pytest.MonkeyPatch().setattr(signal, "alarm", alarm)


def _keep_data_in_memory() -> None:
    """Have servers keep their data in memory, where there is enough.

    A database is created there in 16 ms. On a virtual disk with ext4 it took 220, and a thousand tests have
    one of their own.
    """
    if (
        "TMPDIR" in os.environ
        or not _MEMORY.is_dir()
        or shutil.disk_usage(_MEMORY).free < _ENOUGH_MEMORY_BYTES
    ):
        return
    os.environ["PYTEST_DEBUG_TEMPROOT"] = tempfile.gettempdir()  # pytest's own folders outlive the tests
    os.environ["TMPDIR"] = str(_MEMORY)
    tempfile.tempdir = None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch Kafka, if that is still to be done, before the time of the first test runs, and say so."""
    needed = any("stack" in item.fixturenames for item in session.items if isinstance(item, pytest.Function))
    if needed and not session.config.option.collectonly:
        # Where tests run side by side, a process that runs some has no terminal to write to.
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        _fetch_kafka(reporter.write_line if reporter is not None else lambda _: None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Fetch it before there are several processes that run tests: only this one can say so."""
    if not config.option.collectonly:
        _fetch_kafka(config.get_terminal_writer().line)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Let a report hold half characters, of which fuzzers are fond, though processes cannot send them."""
    return _encodable((yield))


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: _encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_encodable, value))
    return value


def _fetch_kafka(say: Callable[[str], None]) -> None:
    if not os.environ.get(KAFKA_VARIABLE):
        try:
            find_kafka(say)
        except StackError as error:
            pytest.exit(str(error), returncode=1)


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    """A Kafka broker and a PostgreSQL server for the whole session; the environment's where it names them."""
    with LocalStack.from_environment(os.environ) as stack:
        yield stack


@pytest.fixture(scope="session")
def bootstrap_servers(stack: LocalStack) -> str:
    """The addresses of the session's Kafka."""
    return stack.bootstrap_servers


@pytest.fixture(scope="session")
def admin(bootstrap_servers: str) -> AdminClient:
    """A client that makes and inspects topics."""
    return AdminClient({"bootstrap.servers": bootstrap_servers})


@pytest.fixture
def topic(admin: AdminClient) -> MakeTopic:
    """Make a topic that no other test has: `topic("worker-in", partitions=3)` returns its full name."""

    def make(name: str = "topic", partitions: int = 1, **config: str) -> str:
        full_name = f"{name}-{uuid.uuid4().hex[:12]}"
        new_topic = NewTopic(full_name, num_partitions=partitions, config=config)
        admin.create_topics([new_topic])[full_name].result(timeout=30)
        # The controller has made it; the brokers hear of it a moment later.
        assert wait_until(
            lambda: len(admin.list_topics(full_name, timeout=10).topics[full_name].partitions) == partitions,
            timeout_s=30,
        )
        return full_name

    return make


@pytest.fixture(scope="session")
def template_database(stack: LocalStack, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a database with the program's schema, to be copied, not changed."""
    with new_database(stack, template="template0") as (name, url):
        migrate(url)
        if number := request.config.getoption("--hash-partitions"):
            spread_over_hash_partitions(url, number)
        yield name


@pytest.fixture
def database_url(stack: LocalStack, template_database: str) -> Iterator[str]:
    """A database of the test's own, with the program's schema and nothing in it."""
    with new_database(stack, template=template_database) as (_, url):
        yield url


@pytest.fixture
def empty_database_url(stack: LocalStack) -> Iterator[str]:
    """A database of the test's own, without the program's schema."""
    with new_database(stack, template="template0") as (_, url):
        yield url
