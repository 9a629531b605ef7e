"""`tracker stack up, env, down`, as a user types them."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest

from tracker.errors import StackError
from tracker.stack import LocalStack, postgres
from tracker.stack.lifetime import ProcessIdentity, wait_until


class Shell:
    """Runs `tracker stack ...` with a state folder of its own."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tracker", "stack", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)

    def succeed(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def fail(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.count("\n") == 1
        return done.stderr


@pytest.fixture
def shell(open_folder: Path, stack: LocalStack) -> Iterator[Shell]:
    """A user whose environment names a Kafka already, so that `up` starts PostgreSQL only: it is faster."""
    variables = {
        "XDG_STATE_HOME": str(open_folder),
        "TRACKER_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
        "TRACKER_DATABASE_URL": "",
    }
    shell = Shell(os.environ | variables)
    yield shell
    shell.run("down")


def test_stack_that_is_up_is_found_by_env_and_down(
    shell: Shell, stack: LocalStack, open_folder: Path
) -> None:
    assert shell.succeed("up").startswith("The stack default is up.\n")
    assert shell.succeed("up").startswith("The stack default is up already.\n")

    script = (
        shell.succeed("env") + 'printf "%s\\n" "$TRACKER_KAFKA_BOOTSTRAP_SERVERS" "$TRACKER_DATABASE_URL"'
    )
    servers, url = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    assert servers == stack.bootstrap_servers
    psycopg.connect(url).close()

    assert shell.succeed("down") == "The stack default is down.\n"
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(url)
    assert list((open_folder / "job-tracker" / "stacks").iterdir()) == []
    assert shell.succeed("down") == "No stack default was up.\n"


def test_up_starts_a_new_stack_after_one_has_died(shell: Shell) -> None:
    shell.succeed("up")
    before = shell.succeed("env")
    data = next(Path(shell.environment["XDG_STATE_HOME"]).glob("job-tracker/stacks/default/postgres/data"))
    postmaster = ProcessIdentity.of(int((data / "postmaster.pid").read_text().splitlines()[0]))
    postmaster.send(signal.SIGQUIT)
    assert wait_until(lambda: not postmaster.is_running(), timeout_s=10)
    assert shell.fail("env").startswith("The stack default has died;")
    assert shell.succeed("up").startswith("The stack default is up.\n")
    assert shell.succeed("env") != before


def test_env_without_a_stack_says_how_to_start_one(shell: Shell) -> None:
    assert shell.fail("env", "--name", "mine") == (
        "No stack mine is up; `tracker stack up --name mine` starts it.\n"
    )


def test_up_without_java_says_what_to_install(shell: Shell, open_folder: Path) -> None:
    del shell.environment["TRACKER_KAFKA_BOOTSTRAP_SERVERS"]
    shell.environment |= {"PATH": str(open_folder), "JAVA_HOME": ""}
    assert shell.fail("up") == (
        "Kafka needs Java 17 or later, but there is none on the PATH: install it (on Debian and Ubuntu: "
        "openjdk-17-jre-headless), or start deploy/compose.yaml and name its broker in "
        "TRACKER_KAFKA_BOOTSTRAP_SERVERS.\n"
    )


def test_up_without_maven_says_what_to_install(shell: Shell, open_folder: Path) -> None:
    java = shutil.which("java")
    assert java is not None
    (open_folder / "java").symlink_to(Path(java).resolve())
    del shell.environment["TRACKER_KAFKA_BOOTSTRAP_SERVERS"]
    shell.environment |= {
        "PATH": str(open_folder),
        "JAVA_HOME": "",
        "XDG_CACHE_HOME": str(open_folder / "cache"),
    }
    assert shell.fail("up") == (
        "Kafka is fetched with Maven, but there is none on the PATH: install it (on Debian and Ubuntu: "
        "maven), or unpack Kafka and name its folder in KAFKA_HOME, or start deploy/compose.yaml and name "
        "its broker in TRACKER_KAFKA_BOOTSTRAP_SERVERS.\n"
    )


def test_kafka_home_without_kafka_is_refused(shell: Shell, open_folder: Path) -> None:
    del shell.environment["TRACKER_KAFKA_BOOTSTRAP_SERVERS"]
    shell.environment["KAFKA_HOME"] = str(open_folder)
    assert shell.fail("up") == (
        f"KAFKA_HOME is {open_folder}, but there is no Kafka 4 or later in its folder libs.\n"
    )


def test_without_postgresql_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_candidates", lambda: iter([Path("/nowhere")]))
    with pytest.raises(
        StackError, match=r"^PostgreSQL 15 or later is needed, .* install it \(on Debian and Ubuntu"
    ):
        postgres.find_postgres()
