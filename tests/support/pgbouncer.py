"""A real PgBouncer before the session's PostgreSQL."""

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Self

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tracker.stack.lifetime import Watchdog
from tracker.stack.ports import free_ports
from tracker.stack.postgres import account_to_use
from tracker.stack.server import ServerProcess, clean_environment

_START_S = 30


def find_pgbouncer() -> str:
    """Return the program."""
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.fail("PgBouncer is needed, and there is none: install it (on Debian and Ubuntu: pgbouncer)")
    return found


class PgBouncer:
    """One PgBouncer, for every database of the server that `server_url` names.

    `settings` are added to its configuration, which is otherwise PgBouncer's own.
    """

    def __init__(self, directory: Path, server_url: str, watchdog: Watchdog, **settings: str) -> None:
        self._program = find_pgbouncer()
        self._directory = directory
        self._server = conninfo_to_dict(server_url)
        self._settings = settings
        self._account = account_to_use()
        self.port = free_ports(1)[0]
        self._process = ServerProcess(
            "PgBouncer",
            directory / "log",
            fast_stop_signal=signal.SIGKILL,
            watchdog=watchdog,
            account=self._account,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()

    def start(self) -> None:
        """Start it, and wait until it serves."""
        self._write("userlist.txt", f'"{self._server["user"]}" "{self._server["password"]}"\n')
        lines = [
            "[databases]",
            f"* = host={self._server['host']} port={self._server['port']}",
            "[pgbouncer]",
            "listen_addr = 127.0.0.1",
            f"listen_port = {self.port}",
            "auth_type = scram-sha-256",
            f"auth_file = {self._directory / 'userlist.txt'}",
            "unix_socket_dir =",
            *(f"{name} = {value}" for name, value in self._settings.items()),
        ]
        configuration = self._write("pgbouncer.ini", "\n".join(lines) + "\n")
        self._process.launch([self._program, configuration], clean_environment(), self._directory)
        self._process.wait_for_log("process up", time.monotonic() + _START_S)

    def kill(self) -> None:
        """End it at once; its clients and its sessions with PostgreSQL are cut off."""
        self._process.kill()

    def is_running(self) -> bool:
        """Return whether it was started and has not ended."""
        return self._process.is_running()

    def url(self, database_url: str) -> str:
        """Return the way to a database of the server through this pooler."""
        return make_conninfo(database_url, host="127.0.0.1", hostaddr="127.0.0.1", port=self.port)

    def _write(self, name: str, text: str) -> Path:
        path = self._directory / name
        path.write_text(text)
        if self._account is not None:
            for each in (self._directory, path):
                os.chown(each, self._account.uid, self._account.gid)
        return path
